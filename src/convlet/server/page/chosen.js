// The image that everything is shown for: chosen here, drawn, dropped or taken.

import { pixels } from "./arrays.js";
import { announce } from "./bar.js";
import { className, state, tell } from "./store.js";

/** From an answer of the server: {ref, pixels, shape, label?}. */
export function choose(answer, words) {
  state.image = {
    ref: answer.ref,
    label: answer.label ?? null,
    array: pixels(answer.pixels, answer.shape),
    words: words ?? name(answer),
  };
  state.label = state.image.label;
  tell("image", state.image);
  announce(`Now shown: ${state.image.words}.`);
}

export function name({ ref, label }) {
  const known = label === null || label === undefined ? "" : `, ${className(label)}`;
  return ref.part === "own"
    ? `own image ${ref.index}${known}`
    : `image ${ref.index} of ${ref.part}${known}`;
}

/** The label that errors are asked for; null is what the network takes it for. */
export function chooseLabel(label) {
  state.label = label;
  tell("label", label);
}
