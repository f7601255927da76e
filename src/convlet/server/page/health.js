// Health: gradient norms and dead units of each stage, in words where something is wrong.

import { box, byId, h, table } from "./dom.js";
import { number } from "./letters.js";
import { beforeFrame, on, state } from "./store.js";

const LEVELS = { error: "Failed", warning: "Look here", note: "Note" };

export function health() {
  const draw = beforeFrame(show);
  on("health state", draw);
}

function show() {
  const known = state.health;
  const words = known?.words ?? [];
  const stages = known?.stages ?? [];
  byId("health-words").replaceChildren(
    ...(words.length
      ? words.map(({ level, text, stage }) =>
          h(
            "li",
            { class: level },
            h("strong", {}, `${LEVELS[level]}${stage === null ? "" : `, stage ${stage}`}: `),
            text,
          ),
        )
      : [
          h(
            "li",
            { class: "soft" },
            stages.length ? "Nothing looks wrong." : "Nothing to say yet: training has not begun.",
          ),
        ]),
  );
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
