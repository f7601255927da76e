// The live page: every part of it, then the stream that feeds them.

import { away } from "./away.js";
import { backward } from "./backward.js";
import { bar } from "./bar.js";
import { onScheme } from "./colours.js";
import { curves } from "./curves.js";
import { byId, say } from "./dom.js";
import { draw } from "./draw.js";
import { listen } from "./events.js";
import { numberPanel, repaint } from "./explain.js";
import { flow } from "./flow.js";
import { forward } from "./forward.js";
import { gallery } from "./gallery.js";
import { health } from "./health.js";
import { inflow } from "./inflow.js";
import { judged } from "./judged.js";
import { count } from "./letters.js";
import { settings } from "./settings.js";
import { on, state } from "./store.js";

for (const part of [
  bar,
  curves,
  health,
  judged,
  settings,
  gallery,
  inflow,
  forward,
  backward,
  numberPanel,
  draw,
  away,
  flow,
])
  part();

on("state", () => {
  const { data, model, version } = state;
  say(
    byId("what"),
    [data?.name, model && `${count(model.parameters)} parameters`, version && `convlet ${version}`]
      .filter(Boolean)
      .join(" · "),
  );
  document.title = data ? `convlet live: ${data.name}` : "convlet live";
});
onScheme(repaint);

// a button that is not of use now says so, and does nothing
document.addEventListener(
  "click",
  (event) =>
    event.target.closest?.("[aria-disabled=true]") &&
    (event.preventDefault(), event.stopImmediatePropagation()),
  true,
);

listen();
