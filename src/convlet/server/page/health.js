// Health: gradient norms and dead units of each stage, in words where something is wrong.

import { box, byId, h, table } from "./dom.js";
import { number } from "./letters.js";
import { beforeFrame, on, state } from "./store.js";

const LEVELS = { error: "Failed", warning: "Look here", note: "Note" };
const NOTHING = "Nothing to say yet: training has not begun.";
let said = "";

export function health() {
  const draw = beforeFrame(show);
  on("health state", draw);
}

/** Only what is new: the list is read aloud when it changes. */
function sayWords(words, otherwise) {
  const key = JSON.stringify([words, otherwise]);
  if (key === said) return;
  said = key;
  const items = words.map(({ level, text, stage }) => {
    const where = stage === null ? "" : `, stage ${stage}`;
    return h("li", { class: level }, h("strong", {}, `${LEVELS[level]}${where}: `), text);
  });
  const none = h("li", { class: "soft" }, otherwise);
  byId("health-words").replaceChildren(...(items.length ? items : [none]));
}

function show() {
  const known = state.health;
  const words = known?.words ?? [];
  const stages = known?.stages ?? [];
  sayWords(words, stages.length ? "Nothing looks wrong." : NOTHING);
  const rows = stages.map((one) => [
    String(one.stage),
    number(one.gradient_norm, 3),
    number(one.weight_norm, 3),
    one.dead === null ? "–" : `${one.dead} of ${one.units}`,
  ]);
  const name = "Stages: norms and dead units";
  byId("health-table").replaceChildren(
    ...(rows.length
      ? [box(name, table(name, ["stage", "norm of ∂E/∂w", "norm of w", "dead units"], rows, 0))]
      : []),
  );
}
