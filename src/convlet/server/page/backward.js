// Back: the errors from x^L - y down to the image.

import { greatest, overChannels } from "./arrays.js";
import { chooseLabel } from "./chosen.js";
import { byId, h, options, say } from "./dom.js";
import { explain } from "./explain.js";
import { imageOf, layerWords } from "./forward.js";
import { letterOf, maths, number, shape } from "./letters.js";
import { paint } from "./picture.js";
import { pictures } from "./pictures.js";
import { row, stageSection } from "./rows.js";
import { className, classCount, on, state, tell } from "./store.js";
import { forgetWeights, parameters, weights } from "./weights.js";

/** How an error comes back through a layer. */
const THROUGH = { pool: "P⁻¹, 24", flatten: "F⁻¹, 24", relu: 10, softmax: 15 };

const shown = pictures();
let built = "";
let image = null;

export function backward() {
  byId("label").addEventListener("change", () => chooseLabel(Number(byId("label").value)));
  on("state", build);
  on("image label", showLabel);
  on("forward", ({ probabilities }) => {
    if (state.label !== null) return;
    state.label = greatest(probabilities); // nothing better is known
    tell("label", state.label);
  });
  on("backward", show);
  on("image", showImage);
  weights();
}

function showLabel() {
  const classes = Array.from({ length: classCount() }, (_, k) => [k, className(k)]);
  options(byId("label"), classes, state.label ?? "");
}

function showImage() {
  if (image && state.image) paint(image, state.image.array);
}

function build() {
  const key = JSON.stringify(state.model?.stages);
  if (!state.model || key === built) return;
  built = key;
  shown.clear();
  forgetWeights();
  byId("errors").replaceChildren(...state.model.stages.map(stageOf).reverse(), saliency());
  showLabel();
}

function show(answer) {
  shown.show(answer);
  say(byId("cost-back"), `E = ${number(answer.cost)} for ${className(state.label)}`);
}

function stageOf(stage) {
  const { index, kind, layers, x_shape } = stage;
  const last = index === state.model.stages.length - 1;
  const below = layers.filter((layer) => layer.kind !== "softmax");
  const rows = [];
  below.forEach((layer, n) => {
    if (n === below.length - 1 && !last) return; // it is the error of the input of the stage above
    const [words] = layerWords(layer);
    const name = `Error of the output of ${words} of stage ${index}`;
    const take = ({ stages }) => stages[index].outputs[n];
    const picture = shown.add(`error/${index}/${n}`, name, layer.shape, take);
    const through = THROUGH[below[n + 1]?.kind ?? "softmax"];
    const letter = `∂E/∂a^{${index},${n}}`;
    rows.unshift(row(letter, `error of what ${words} gives`, through, layer.shape, picture));
  });
  rows.push(errorOf(stage, below, last), parameters(stage));
  if (index > 0) {
    const name = `Error of the input of stage ${index}`;
    const down = shown.add(`dx/${index}`, name, x_shape, ({ stages }) => stages[index].x);
    const equation = kind === "conv" ? 2 : 7;
    rows.push(row(`∂E/∂x^${index}`, "error of the stage's input", equation, x_shape, down));
  }
  return stageSection(`back-${index}`, `Stage ${index}`, ...rows);
}

/** delta of a stage: x^L - y where nothing but the softmax follows. */
function errorOf({ index, z_shape }, below, last) {
  const take = ({ stages }) => stages[index].delta;
  if (last && !below.length) {
    const picture = shown.add(
      `error/${index}`,
      "x^L minus y, the error of the last stage",
      z_shape,
      take,
    );
    const letter = `δ^${index} = x^${index + 1} − y`;
    return row(letter, "probability minus label", 15, z_shape, picture);
  }
  const picture = shown.add(`delta/${index}`, `Error delta of stage ${index}`, z_shape, take);
  const through = THROUGH[below[0]?.kind];
  return row(`δ^${index} = ∂E/∂z^${index}`, "error of the stage", through, z_shape, picture);
}

function saliency() {
  const [first] = state.model.stages;
  const sizes = state.model.input_shape;
  const derivative = ({ stages }) => imageOf(stages[0].x);
  let most = null; // of each pixel
  const size = (answer) => (most = overChannels(derivative(answer)));
  const withChannel = (address) => {
    const [i, j] = address.split("/")[2].split(",").map(Number);
    return `dx/0/${i},${j},${most.channels[i * sizes[1] + j]}`;
  };
  const words = "Saliency: how much each pixel changes the cost";
  const flat = [...sizes.slice(0, 2), 1];
  const heat = shown.add("dx/0", words, flat, size, {
    scale: "heat",
    goal: 170,
    letter: (address) => `|${letterOf(withChannel(address))}|`,
    pick: (address, from) => explain(withChannel(address), from),
  });
  const each = "Derivative of the cost by each pixel";
  const signed = shown.add("dx/0", each, sizes, derivative, { goal: 170 });
  image = h("canvas", { role: "img", "aria-label": "The image", class: "seen" });
  showImage();
  const letter = h("span", { class: "maths" }, maths("∂E/∂x^0"));
  const equation = h("span", { class: "soft" }, ` (${first.kind === "conv" ? 2 : 7})`);
  const trio = [
    h("div", {}, h("h4", {}, "the image"), image),
    h("div", {}, h("h4", {}, "size of the derivative"), heat),
    h("div", {}, h("h4", {}, letter, equation), signed),
  ];
  const said = [
    "Bright pixels change the cost most",
    sizes[2] > 1 ? ": the greatest of the channels counts" : "",
    ". Orange: a brighter pixel raises it; purple: it lowers it.",
  ].join("");
  return stageSection(
    "saliency",
    "The image: which pixels change the cost",
    h("div", { class: "trio" }, trio),
    h("p", { class: "soft" }, `${shape(sizes)}. ${said}`),
  );
}
