// Settings of the next run, checked while they are typed, with the stages that the layers make.

import { MARKED, newest, post, start, takeSettings } from "./api.js";
import { augmented, showAugmented } from "./augmented.js";
import { fromLink } from "./away.js";
import { notice } from "./bar.js";
import { box, byId, h, say, table } from "./dom.js";
import { build, built, choiceOf, problems, put, read } from "./fields.js";
import { count, shape } from "./letters.js";
import { on, state } from "./store.js";

let filled = "";
let touched = false;
let right = null; // {stages, parameters} of the last layers that had nothing wrong

export function settings() {
  augmented();
  on("state", fill);
  on("status", nameButton);
  on("address", () => built() && start.settings && fillFromLink());
  const form = byId("settings-form");
  form.addEventListener("input", ({ target }) => {
    touched = true;
    const name = choiceOf(target);
    if (name) choose(name);
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

/** The settings as they are, unless somebody is changing them. */
function fill() {
  const key = JSON.stringify(state.settings);
  if (!built()) build();
  if (key !== filled && !touched) replace(state.settings);
  filled = key;
  if (start.settings) fillFromLink();
  nameButton();
}

function fillFromLink() {
  const linked = fromLink(takeSettings());
  if (!linked) return notice("The link holds no settings that can be read.", "bad");
  touched = true;
  replace({ ...state.settings, ...linked });
  notice("The settings of the link stand under Train. Press Use these settings to take them.");
}

function replace(values) {
  put(values);
  check();
}

const check = newest(async () => {
  try {
    show(await post("api/check", read()));
  } catch (error) {
    refused(error);
  }
}, 150);

/** A recipe brings all its settings, an optimiser its usual rate. */
async function choose(name) {
  const { recipe, ...others } = read();
  const own = { ...others, recipe, learning_rate: null, momentum: null, weight_decay: null };
  try {
    const answer = await post("api/check", name === "recipe" ? { recipe } : own);
    if (answer.settings) replace(answer.settings);
    else problems(answer.problems);
  } catch (error) {
    refused(error);
  }
}

function refused({ problems: found, parameter, message }) {
  problems(found?.length ? found : [{ field: parameter, message }]);
}

function show({ stages, parameters, problems: found, settings: whole }) {
  problems(found);
  if (whole) showAugmented(whole);
  if (stages.length) right = { stages, parameters };
  if (right) byId("checked").replaceChildren(...stageTable(right, stages.length > 0));
}

/** now: whether they are those of the layers in the field. */
function stageTable({ stages, parameters }, now) {
  const rows = stages.map((stage) => [
    `${stage.index}`,
    [stage.affine, ...stage.layers.map(({ text }) => text)].join(", "),
    shape(stage.x_shape),
    shape(stage.z_shape),
    shape(stage.output_shape),
    count(stage.parameters),
  ]);
  const words = `The stages that ${now ? "these" : "the last right"} layers make`;
  const head = ["stage", "layers", "x", "z", "gives", "parameters"];
  const whose = now ? "" : "These are the stages of the last layers that were right. ";
  const sum = h("p", { class: "soft" }, `${whose}${count(parameters)} parameters in all.`);
  const shown = box(words, table(words, head, rows, 2));
  if (!now) shown.classList.add("soft");
  return [shown, sum];
}

function nameButton() {
  const ends = state.can.includes("stop");
  const words = ends ? "End this run and use these settings" : "Use these settings";
  say(byId("settings-use"), words);
}

async function use() {
  const values = read();
  try {
    const checked = await post("api/check", values);
    if (!checked.settings) {
      show(checked);
      return notice(MARKED, "bad"); // the run goes on
    }
    if (state.can.includes("stop")) await post("api/train", { do: "stop" });
    await post("api/settings", values);
    touched = false;
    notice("A new run with these settings is ready.");
  } catch (error) {
    if (error.problems?.length) problems(error.problems);
    notice(error.message, "bad");
  }
}
