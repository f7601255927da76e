// Look: the image through every layer, stage after stage.

import { bars } from "./bars.js";
import { byId, h, say } from "./dom.js";
import { explain, register } from "./explain.js";
import { maths, number, shape } from "./letters.js";
import { maps } from "./maps.js";
import { asBytes, paint } from "./picture.js";
import { className, on, state } from "./store.js";

let shown = [];
let built = "";
let probabilities = null;

export function forward() {
  probabilities = bars(byId("probabilities"), (k) => explain(`out/${state.model.stages.length - 1}/${state.model.stages.at(-1).layers.length - 1}/${k}`));
  byId("cost").addEventListener("click", (event) => explain("cost", event.currentTarget));
  on("state", build);
  on("forward", show);
  on("image", () => {
    const { array, words } = state.image;
    paint(byId("seen"), array);
    byId("seen").setAttribute("aria-label", words);
    say(byId("seen-words"), words);
  });
}

/** The affine map as the derivation calls it. */
export function affineWords({ index, kind, b }) {
  return `z^${index} = ${kind === "conv" ? "C" : "D"}(x^${index}, w^${index})${b ? ` + b^${index}` : ""}`;
}

const SIGMA = { relu: ["ReLU", 9], pool: ["max pooling", 4], flatten: ["flatten", 5], dropout: ["dropout, which does nothing outside training", null], softmax: ["softmax", 11] };

export function layerWords(layer) {
  const kind = layer.kind ?? layer.text.split(" ")[0];
  return SIGMA[kind] ?? [layer.text, null];
}

function row(letter, words, equation, sizes, picture) {
  const title = h("h4", {}, h("span", { class: "maths" }, maths(letter)), ` ${words}`);
  const note = h("span", { class: "soft" }, `${shape(sizes)}${equation ? ` · (${equation})` : ""}`);
  return h("div", { class: "layer" }, h("div", { class: "layer-head" }, title, note), picture.element);
}

function build() {
  const key = JSON.stringify(state.model?.stages);
  if (!state.model || key === built) return;
  built = key;
  shown = [];
  const add = (address, words, scale, take) => {
    const picture = maps({ address, words, pick: explain, scale, goal: address === "x/0" ? 170 : undefined });
    register(picture);
    shown.push({ picture, take });
    return picture;
  };
  const [image] = [state.model.stages[0]];
  const first = add("x/0", "The image, x^0", "grey", (answer) => asBytes(imageOf(answer.stages[0].x)));
  byId("stages").replaceChildren(
    h("section", { class: "stage", "aria-label": "The image" }, row("x^0", "the image as the network takes it", null, image.x_shape, first)),
    ...state.model.stages.map((stage) => stageOf(stage, add)),
  );
}

/** x^0 with the axes of an image, also where the first map is dense. */
export function imageOf(array) {
  return array.shape.length === 1 ? { shape: state.model.input_shape, values: array.values } : array;
}

function stageOf(stage, add) {
  const l = stage.index;
  const z = add(`z/${l}`, `z of stage ${l}, ${shape(stage.z_shape)}`, "signed", (answer) => answer.stages[l].z);
  const rows = [row(affineWords(stage), stage.affine, stage.kind === "conv" ? 1 : 6, stage.z_shape, z)];
  stage.layers.forEach((layer, n) => {
    const [words, equation] = layerWords(layer);
    const out = add(`out/${l}/${n}`, `Output of ${words} of stage ${l}, ${shape(layer.shape)}`, "heat", (answer) => answer.stages[l].outputs[n]);
    const letter = n === stage.layers.length - 1 ? `x^${l + 1}` : `a^{${l},${n}}`;
    rows.push(row(letter, words, equation, layer.shape, out));
  });
  return h("section", { class: "stage", "aria-labelledby": `stage-${l}` }, h("h3", { id: `stage-${l}` }, `Stage ${l}`), ...rows);
}

function show(answer) {
  for (const { picture, take } of shown) picture.show(take(answer));
  probabilities(answer.probabilities, state.image?.label);
  const best = answer.probabilities.indexOf(Math.max(...answer.probabilities));
  const known = state.image?.label;
  const right = known === null || known === undefined ? "" : known === best ? ", which is right" : `; it is ${className(known)}`;
  say(byId("taken-for"), `Taken for ${className(best)}${right}.`);
  byId("cost").hidden = answer.cost === null || answer.cost === undefined;
  if (!byId("cost").hidden) byId("cost").replaceChildren("cost ", h("span", { class: "maths" }, "E = "), number(answer.cost), h("small", {}, " (14)"));
}

