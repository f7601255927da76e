// The weights of a stage and how the cost changes with each, for those that are opened.

import { get } from "./api.js";
import { floats } from "./arrays.js";
import { h, say } from "./dom.js";
import { explain, register } from "./explain.js";
import { refresh, wanted } from "./flow.js";
import { letterOf, number } from "./letters.js";
import { maps } from "./maps.js";
import { row } from "./rows.js";
import { on } from "./store.js";

let opened = []; // {name, own, derivative}

export function weights() {
  on("state status epoch", load);
  on("backward", ({ gradient }) => {
    for (const { name, derivative, norm } of opened) {
      if (!gradient[name].values) continue;
      derivative.show(floats(gradient[name].values));
      say(norm, `The norm of it is ${number(gradient[name].norm)}.`);
    }
  });
}

/** Of an earlier network. */
export function forgetWeights() {
  opened = [];
  wanted.clear();
}

/** What opens to the weights and biases of a stage. */
export function parameters({ index, kind, w, b }) {
  const body = h("div", {});
  const both = b ? "Weights and biases" : "Weights";
  const words = `${both} of stage ${index}, and how the cost changes with each`;
  const details = h("details", { class: "parameters" }, h("summary", {}, words), body);
  details.addEventListener("toggle", () => {
    if (details.open && !body.children.length) {
      body.append(...rows("w", "weight", index, w, kind === "conv" ? 3 : 8));
      if (b) body.append(...rows("b", "bias", index, b, 18));
      load();
    }
    for (const array of [w, b]) {
      if (!array) continue;
      if (details.open) wanted.add(array.name);
      else wanted.delete(array.name);
    }
    refresh();
  });
  return details;
}

function rows(letter, noun, index, { name, shape }, equation) {
  const address = `${letter}/${index}`;
  const plural = noun === "bias" ? "biases" : "weights";
  const picture = (words, letter) =>
    maps({ address, words, sizes: shape, pick: explain, scrolls: true, letter });
  const own = picture(`The ${plural} of stage ${index}`);
  const words = `Derivative of the cost by each ${noun} of stage ${index}`;
  const derivative = picture(words, (at) => letterOf(at, true));
  register(derivative);
  const norm = h("p", { class: "soft" });
  opened.push({ name, own, derivative, norm });
  return [
    row(`${letter}^${index}`, plural, null, shape, own.element),
    row(`∂E/∂${letter}^${index}`, "of this image", equation, shape, derivative.element, norm),
  ];
}

async function load() {
  for (const { name, own } of opened) {
    try {
      own.show(floats(await get(`api/weights?name=${name}`)));
    } catch {
      return; // the bar says that the server is gone
    }
  }
}
