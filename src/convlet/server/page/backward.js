// Back: the errors from x^L - y down to the image, and the derivatives of the weights on the way.

import { floats, overChannels } from "./arrays.js";
import { get } from "./api.js";
import { chooseLabel } from "./chosen.js";
import { byId, h, options, say } from "./dom.js";
import { explain, register } from "./explain.js";
import { refresh, wanted } from "./flow.js";
import { imageOf, layerWords } from "./forward.js";
import { maths, number, shape } from "./letters.js";
import { maps } from "./maps.js";
import { paint } from "./picture.js";
import { className, classCount, on, running, state, tell } from "./store.js";

let shown = [];
let weights = [];
let built = "";
let image = null;
const values = new Map(); // of weights, by name

export function backward() {
  byId("label").addEventListener("change", () => chooseLabel(Number(byId("label").value)));
  on("state", build);
  on("image label", showLabel);
  on("forward", ({ probabilities }) => {
    if (state.label !== null) return;
    state.label = probabilities.indexOf(Math.max(...probabilities)); // nothing better is known
    tell("label", state.label);
  });
  on("backward", show);
  on("image", showImage);
  on("state status", loadWeights);
}

/** How an error comes back through a layer. */
const THROUGH = { pool: "P⁻¹, 24", flatten: "F⁻¹, 24", relu: 10, softmax: 15 };

function showLabel() {
  options(byId("label"), Array.from({ length: classCount() }, (_, k) => [k, className(k)]), state.label ?? "");
}

function showImage() {
  if (image && state.image) paint(image, state.image.array);
}

function row(letter, words, equation, sizes, ...pictures) {
  const title = h("h4", {}, h("span", { class: "maths" }, maths(letter)), ` ${words}`);
  return h("div", { class: "layer" }, h("div", { class: "layer-head" }, title, h("span", { class: "soft" }, `${shape(sizes)}${equation ? ` · (${equation})` : ""}`)), ...pictures);
}

function build() {
  const key = JSON.stringify(state.model?.stages);
  if (!state.model || key === built) return;
  built = key;
  [shown, weights] = [[], []];
  wanted.clear();
  values.clear();
  byId("errors").replaceChildren(...state.model.stages.map(stageOf).reverse(), saliency());
  showLabel();
}

function add(address, words, take, scale = "signed") {
  const picture = maps({ address, words, pick: explain, scale });
  register(picture);
  shown.push({ picture, take });
  return picture.element;
}

function stageOf(stage) {
  const { index: l, layers, z_shape } = stage;
  const last = l === state.model.stages.length - 1;
  const rows = [];
  const below = layers.filter((layer) => layerWords(layer)[1] !== 11);
  below.forEach((layer, n) => {
    if (n === below.length - 1 && !last) return; // it is the error of the input of the stage above
    const [words] = layerWords(layer);
    const picture = add(`error/${l}/${n}`, `Error of the output of ${words} of stage ${l}`, (answer) => answer.stages[l].outputs[n]);
    const above = below[n + 1]?.kind ?? "softmax";
    rows.unshift(row(`∂E/∂a^{${l},${n}}`, `error of what ${words} gives`, THROUGH[above], layer.shape, picture));
  });
  if (last && !below.length) rows.push(row(`δ^${l} = x^${l + 1} − y`, "probability minus label", 15, z_shape, add(`error/${l}`, "x^L - y, the error of the last stage", (answer) => answer.stages[l].delta)));
  else rows.push(row(`δ^${l} = ∂E/∂z^${l}`, "error of the stage", 10, z_shape, add(`delta/${l}`, `Error delta of stage ${l}`, (answer) => answer.stages[l].delta)));
  rows.push(parameters(stage));
  if (l > 0) {
    const down = add(`dx/${l}`, `Error of the input of stage ${l}`, (answer) => answer.stages[l].x);
    rows.push(row(`∂E/∂x^${l}`, "error of the stage's input", stage.kind === "conv" ? 2 : 7, stage.x_shape, down));
  }
  return h("section", { class: "stage", "aria-labelledby": `back-${l}` }, h("h3", { id: `back-${l}` }, `Stage ${l}`), ...rows);
}

function saliency() {
  const [first] = state.model.stages;
  const sizes = state.model.input_shape;
  const signed = add("dx/0", "Derivative of the cost by each pixel of the image", (answer) => imageOf(answer.stages[0].x));
  const heat = add("dx/0", "Saliency: how much each pixel changes the cost", (answer) => overChannels(imageOf(answer.stages[0].x)), "heat");
  image = h("canvas", { role: "img", "aria-label": "The image", class: "seen" });
  showImage();
  return h(
    "section",
    { class: "stage", "aria-labelledby": "saliency" },
    h("h3", { id: "saliency" }, "The image: which pixels change the cost"),
    h(
      "div",
      { class: "trio" },
      h("div", {}, h("h4", {}, "the image"), image),
      h("div", {}, h("h4", {}, "size of the derivative"), heat),
      h("div", {}, h("h4", {}, h("span", { class: "maths" }, maths("∂E/∂x^0")), h("span", { class: "soft" }, ` (${first.kind === "conv" ? 2 : 7})`)), signed),
    ),
    h("p", { class: "soft" }, `${shape(sizes)}. Bright pixels change the cost most. Orange: a brighter pixel raises it; purple: it lowers it.`),
  );
}

function parameters({ index: l, kind, w, b }) {
  const conv = kind === "conv";
  const names = [w, ...(b ? [b] : [])];
  const body = h("div", {});
  const details = h("details", { class: "parameters" }, h("summary", {}, `Weights ${b ? "and biases " : ""}of stage ${l}, and how the cost changes with each`, h("span", { class: "soft", id: `norm-${l}` })), body);
  details.addEventListener("toggle", () => {
    for (const { name } of names) details.open ? wanted.add(name) : wanted.delete(name);
    if (details.open && !body.children.length) {
      for (const one of names) {
        const letter = one === w ? "w" : "b";
        const own = maps({ address: `${letter}/${l}`, words: `${one === w ? "Weights" : "Biases"} of stage ${l}`, pick: explain, scrolls: true });
        const derivative = maps({ address: `${letter}/${l}`, words: `Derivative of the cost by each ${one === w ? "weight" : "bias"} of stage ${l}`, pick: explain, scrolls: true });
        register(derivative);
        weights.push({ name: one.name, own, derivative });
        body.append(row(`${letter}^${l}`, one === w ? "weights" : "biases", null, one.shape, own.element), row(`∂E/∂${letter}^${l}`, "derivative, of this image", one === w ? (conv ? 3 : 8) : 18, one.shape, derivative.element));
      }
      loadWeights();
    }
    refresh();
  });
  return details;
}

async function loadWeights() {
  if (running() && weights.length > 2) return; // large; they come when training rests
  for (const { name, own } of weights) {
    try {
      own.show(floats(await get(`api/weights?name=${name}`)));
    } catch {
      return; // the bar says that the server is gone
    }
  }
}

function show(answer) {
  for (const { picture, take } of shown) picture.show(take(answer));
  for (const { name, derivative } of weights) {
    const array = answer.gradient?.[name];
    if (array?.data) derivative.show(floats(array));
  }
  say(byId("cost-back"), `E = ${number(answer.cost)} for ${className(state.label)}`);
}
