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

const PARTS = [bar, curves, health, judged, settings, gallery, inflow, forward, backward];
for (const part of [...PARTS, numberPanel, draw, away, flow]) part();

on("state", () => {
  const { data, model, version } = state;
  const facts = [`${count(model.parameters)} parameters`, `convlet ${version}`];
  say(byId("what"), [data?.name ?? "no data to train with", ...facts].join(" · "));
  document.title = data ? `convlet live: ${data.name}` : "convlet live";
});
onScheme(repaint);

// a button that is of no use now says so, and does nothing
function refuse(event) {
  if (!event.target.closest?.("[aria-disabled=true]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}
document.addEventListener("click", refuse, true);

listen();
