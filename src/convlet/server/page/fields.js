// The fields of the settings: what there is to fill in, and what stands in it.

import { byId, field, h, options } from "./dom.js";
import { state } from "./store.js";

const FIELDS = [
  { name: "recipe", words: "Recipe", from: "recipes", chosen: true },
  { name: "optimizer", words: "Optimiser", from: "optimizers", chosen: true },
  { name: "learning_rate", words: "Learning rate η", mode: "decimal" },
  { name: "momentum", words: "Momentum", mode: "decimal", hint: "of momentum and nesterov" },
  { name: "schedule", words: "Schedule", from: "schedules", hint: "as cosine, one-cycle" },
  { name: "batch_size", words: "Batch size B", mode: "numeric" },
  { name: "epochs", words: "Epochs", mode: "numeric" },
  { name: "patience", words: "Patience", mode: "numeric", hint: "epochs without a better one" },
  { name: "shards", words: "Shards", mode: "numeric", hint: "parts of a minibatch" },
  { name: "seed", words: "Seed", mode: "numeric" },
  { name: "label_smoothing", words: "Label smoothing", mode: "decimal" },
  { name: "clip_norm", words: "Clip the gradient at", mode: "decimal" },
  { name: "weight_decay", words: "Weight decay λ", mode: "decimal" },
  { name: "augmentation", words: "Augmentation", hint: "as shift 2, rotation 10, flip" },
];
const TEXT = { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off" };
const controls = new Map();

export function built() {
  return controls.size > 0;
}

export function build() {
  const layers = h("textarea", { ...TEXT, type: null, id: "layers", rows: 3 });
  controls.set("layers", layers);
  const grid = h("div", { class: "fields" });
  for (const one of FIELDS) {
    const control = one.chosen ? choice(one) : h("input", { ...TEXT, inputmode: one.mode });
    control.id = `set-${one.name}`;
    if (one.from && !one.chosen) control.setAttribute("list", suggestions(one.from));
    controls.set(one.name, control);
    grid.append(field(one.words, control, one.hint));
  }
  const hint = "as conv 8 5, relu, pool 2, flatten, dense 10, softmax";
  byId("fields").replaceChildren(field("Layers", layers, hint), grid);
}

function choice({ name, from }) {
  const entries = state.choices[from].map((one) => [one, one]);
  if (name === "recipe") entries.unshift(["", "none"]);
  return options(h("select"), entries, state.settings[name] ?? "");
}

function suggestions(from) {
  const id = `known-${from}`;
  const entries = state.choices[from].map((value) => h("option", { value }));
  byId("fields").after(h("datalist", { id }, entries));
  return id;
}

/** Which of the choices a control is: "recipe", "optimizer", or undefined. */
export function choiceOf(control) {
  return FIELDS.find(({ name, chosen }) => chosen && controls.get(name) === control)?.name;
}

export function put(values) {
  for (const [name, control] of controls) control.value = values[name] ?? "";
}

/** A whole number that is too large for its every digit to count is none: the server refuses it. */
function isNumber(text) {
  const value = Number(text);
  return text !== "" && !Number.isNaN(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

/** What stands there: numbers as such, nothing as null, what is no number as it was typed. */
export function read() {
  const values = { layers: controls.get("layers").value.trim() || null };
  for (const { name, mode } of FIELDS) {
    const text = controls.get(name).value.trim();
    values[name] = mode && isNumber(text) ? Number(text) : text || null;
  }
  return values;
}

/** Say what is wrong, and mark the fields that it is about. */
export function problems(found) {
  for (const control of controls.values()) control.removeAttribute("aria-invalid");
  for (const { field: name } of found) controls.get(name)?.setAttribute("aria-invalid", "true");
  byId("problems").replaceChildren(...found.map(({ message }) => h("li", {}, message)));
}
