// One array of a stage: its letter, what it is, by which equation, its sizes, and its pictures.

import { h } from "./dom.js";
import { maths, shape } from "./letters.js";

export function row(letter, words, equation, sizes, ...pictures) {
  const title = h("h4", {}, h("span", { class: "maths" }, maths(letter)), ` ${words}`);
  const note = `${shape(sizes)}${equation ? ` · (${equation})` : ""}`;
  const head = h("div", { class: "layer-head" }, title, h("span", { class: "soft" }, note));
  return h("div", { class: "layer" }, head, ...pictures);
}

export function stageSection(id, words, ...rows) {
  const head = h("h3", { id }, words);
  return h("div", { class: "stage", role: "group", "aria-labelledby": id }, head, ...rows);
}
