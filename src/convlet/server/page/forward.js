// Look: the image through every layer, stage after stage.

import { greatest } from "./arrays.js";
import { bars } from "./bars.js";
import { byId, h, say } from "./dom.js";
import { explain, forgetPictures } from "./explain.js";
import { number, shape } from "./letters.js";
import { asBytes, paint } from "./picture.js";
import { pictures } from "./pictures.js";
import { row, stageSection } from "./rows.js";
import { className, on, state } from "./store.js";

const SIGMA = {
  relu: ["ReLU", 9],
  pool: ["max pooling", 4],
  flatten: ["flatten", 5],
  dropout: ["dropout (in training only)", null],
  softmax: ["softmax", 11],
};

const shown = pictures();
let built = "";
let probabilities = null;

export function forward() {
  probabilities = bars(byId("probabilities"), (k, from) => {
    const last = state.model.stages.at(-1);
    explain(`out/${last.index}/${last.layers.length - 1}/${k}`, from);
  });
  byId("cost").addEventListener("click", (event) => explain("cost", event.currentTarget));
  on("state", build);
  on("forward", show);
  on("image", ({ array, words }) => {
    paint(byId("seen"), array).setAttribute("aria-label", words);
    say(byId("seen-words"), words);
  });
}

/** [its name, the number of its equation] of a layer of sigma. */
export function layerWords({ kind, text }) {
  return SIGMA[kind] ?? [text, null];
}

/** x^0 with the axes of an image, also where the first map is dense. */
export function imageOf(array) {
  return array.shape.length > 1 ? array : { ...array, shape: state.model.input_shape };
}

function build() {
  const key = JSON.stringify(state.model?.stages);
  if (!state.model || key === built) return;
  built = key;
  shown.clear();
  requestAnimationFrame(forgetPictures);
  probabilities(state.model.classes.map(() => 0));
  const words = "The image, x^0";
  const look = { scale: "grey", goal: 170, painted: asBytes };
  const sizes = state.model.input_shape;
  const image = shown.add("x/0", words, sizes, ({ stages }) => imageOf(stages[0].x), look);
  const first = row("x^0", "as the network takes it", null, sizes, image);
  byId("stages").replaceChildren(
    stageSection("image-title", "The image", first),
    ...state.model.stages.map(stageOf),
  );
}

/** The affine map as the derivation writes it. */
function affine({ index, kind, b }) {
  const map = kind === "conv" ? "C" : "D";
  return `z^${index} = ${map}(x^${index}, w^${index})${b ? ` + b^${index}` : ""}`;
}

function stageOf(stage) {
  const { index, kind, layers, z_shape } = stage;
  const words = `z of stage ${index}, ${shape(z_shape)}`;
  const z = shown.add(`z/${index}`, words, z_shape, ({ stages }) => stages[index].z);
  const rows = [row(affine(stage), stage.affine, kind === "conv" ? 1 : 6, z_shape, z)];
  layers.forEach((layer, n) => {
    const [words, equation] = layerWords(layer);
    const name = `Output of ${words} of stage ${index}, ${shape(layer.shape)}`;
    const take = ({ stages }) => stages[index].outputs[n];
    const picture = shown.add(`out/${index}/${n}`, name, layer.shape, take, { scale: "heat" });
    const letter = n === layers.length - 1 ? `x^${index + 1}` : `a^{${index},${n}}`;
    rows.push(row(letter, words, equation, layer.shape, picture));
  });
  return stageSection(`stage-${index}`, `Stage ${index}`, ...rows);
}

function show(answer) {
  shown.show(answer);
  const known = state.image?.label ?? null;
  probabilities(answer.probabilities, known);
  const best = greatest(answer.probabilities);
  const judged = known === best ? ", which is right" : `; it is ${className(known)}`;
  say(byId("taken-for"), `Taken for ${className(best)}${known === null ? "" : judged}.`);
  const cost = byId("cost");
  cost.hidden = answer.cost === null;
  const letter = h("span", { class: "maths" }, "E = ");
  const whose = ` for ${className(answer.label)} `;
  cost.replaceChildren("cost ", letter, number(answer.cost), whose, h("small", {}, "(14)"));
}
