// Settings of the next run, checked while they are typed, with the stages that the layers make.

import { newest, post, start } from "./api.js";
import { augmented, showAugmented } from "./augmented.js";
import { fromLink } from "./away.js";
import { notice } from "./bar.js";
import { box, byId, field, h, options, say, table } from "./dom.js";
import { count, shape } from "./letters.js";
import { on, state } from "./store.js";

const FIELDS = [
  ["recipe", "Recipe", "choice", "recipes"],
  ["optimizer", "Optimiser", "choice", "optimizers"],
  ["learning_rate", "Learning rate η", "number"],
  ["schedule", "Schedule", "text", "schedules"],
  ["batch_size", "Batch size B", "whole"],
  ["epochs", "Epochs", "whole"],
  ["seed", "Seed", "whole"],
  ["label_smoothing", "Label smoothing", "number"],
  ["clip_norm", "Clip the gradient's norm at", "number"],
  ["weight_decay", "Weight decay λ", "number"],
  ["augmentation", "Augmentation", "text"],
];
const controls = new Map();
let filled = "";
let touched = false;

export function settings() {
  augmented();
  on("state", fill);
  on("status", usable);
  const form = byId("settings-form");
  form.addEventListener("input", (event) => {
    touched = true;
    const chosen = FIELDS.find(
      ([name, , kind]) => kind === "choice" && controls.get(name) === event.target,
    );
    if (chosen) byChoice(chosen[0]);
    else check();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    use();
  });
  byId("settings-undo").addEventListener("click", () => {
    touched = false;
    filled = "";
    fill();
  });
}

function entries(list, name) {
  const known = list.map((one) => [one, one]);
  return name === "recipe" ? [["", "none"], ...known] : known;
}

function build() {
  const layers = h("textarea", {
    id: "layers",
    rows: 3,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
  });
  controls.set("layers", layers);
  const grid = h("div", { class: "fields" });
  for (const [name, words, kind, from] of FIELDS) {
    if (!(name in state.settings)) continue;
    const control =
      kind === "choice"
        ? options(h("select", {}), entries(state.choices[from], name), state.settings[name] ?? "")
        : h("input", {
            type: "text",
            inputmode: kind === "text" ? "text" : kind === "whole" ? "numeric" : "decimal",
            autocomplete: "off",
            spellcheck: "false",
          });
    control.id = `set-${name}`;
    if (kind === "text" && from) control.setAttribute("list", suggestions(from));
    controls.set(name, control);
    const hint = {
      augmentation: "as shift 2, rotation 10, flip",
      schedule: "as cosine, one-cycle",
    }[name];
    grid.append(field(words, control, hint));
  }
  byId("fields").replaceChildren(
    field("Layers", layers, "as conv 8 5, relu, pool 2, flatten, dense 10, softmax"),
    grid,
  );
}

function suggestions(name) {
  const id = `known-${name}`;
  if (!byId(id))
    byId("fields").after(
      h(
        "datalist",
        { id },
        entries(state.choices[name]).map(([value]) => h("option", { value })),
      ),
    );
  return id;
}

function fill() {
  if (!state.settings) return;
  const key = JSON.stringify(state.settings);
  if (!controls.size) build();
  if (key !== filled && !touched) put(state.settings);
  if (filled === "" && start.settings) fromTheLink();
  filled = key;
  usable();
}

function fromTheLink() {
  const linked = fromLink(start.settings);
  start.settings = null;
  if (!linked) return notice("The link holds no settings that can be read.", "bad");
  touched = true;
  put({ ...state.settings, ...linked });
  notice("The settings of the link stand under Train. Press Use these settings to take them.");
}

function put(values) {
  for (const [name, control] of controls) {
    const value = values[name];
    control.value = value === null || value === undefined ? "" : String(value);
  }
  check();
}

function read() {
  const values = {};
  for (const [name, control] of controls) {
    const [, , kind] = FIELDS.find(([known]) => known === name) ?? [name, "", "text"];
    const text = control.value.trim();
    if (kind === "number" || kind === "whole")
      values[name] = text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
    else values[name] = text === "" ? null : text;
  }
  return values;
}

const check = newest(async () => {
  try {
    show(await post("api/check", read()));
  } catch (error) {
    problems(
      error.problems?.length
        ? error.problems
        : [{ field: error.parameter, message: error.message }],
    );
  }
}, 150);

/** A recipe brings all its settings, an optimiser its usual rate. */
async function byChoice(name) {
  const values = read();
  const given =
    name === "recipe"
      ? { recipe: values.recipe }
      : { ...values, learning_rate: null, weight_decay: null };
  try {
    const answer = await post("api/check", given);
    if (answer.settings) put(answer.settings);
    else problems(answer.problems);
  } catch (error) {
    problems([{ field: name, message: error.message }]);
  }
}

function show({ stages, parameters, problems: found, settings: whole }) {
  problems(found ?? []);
  if (whole) showAugmented(whole);
  if (!stages?.length) return;
  const rows = stages.map((stage) => [
    `${stage.index}`,
    [stage.affine, ...stage.layers.map((layer) => layer.text)].join(", "),
    shape(stage.x_shape),
    shape(stage.z_shape),
    shape(stage.output_shape),
    count(size(stage.w) + size(stage.b)),
  ]);
  const words = "The stages that these layers make";
  byId("checked").replaceChildren(
    box(words, table(words, ["stage", "layers", "x", "z", "gives", "parameters"], rows, 2)),
    h("p", { class: "soft" }, `${count(parameters)} parameters in all.`),
  );
}

function size(array) {
  return array ? array.shape.reduce((product, one) => product * one, 1) : 0;
}

function problems(found) {
  for (const control of controls.values()) control.removeAttribute("aria-invalid");
  for (const { field: name } of found) controls.get(name)?.setAttribute("aria-invalid", "true");
  byId("problems").replaceChildren(...found.map(({ message }) => h("li", {}, message)));
}

function usable() {
  const button = byId("settings-use");
  say(
    button,
    state.can.includes("stop") ? "End this run and use these settings" : "Use these settings",
  );
}

async function use() {
  try {
    if (state.can.includes("stop")) await post("api/train", { do: "stop" });
    await post("api/settings", read());
    touched = false;
    notice("A new run with these settings is ready.");
  } catch (error) {
    if (error.problems?.length) problems(error.problems);
    notice(error.message, "bad");
  }
}
