// Drawings with a label, and training on them.

import { post } from "./api.js";
import { pixels } from "./arrays.js";
import { notice } from "./bar.js";
import { button, byId, h, options } from "./dom.js";
import { picture } from "./picture.js";
import { className, classCount, on, running, state } from "./store.js";

const MOST = 32; // the server keeps 64 images of one's own
const items = []; // {ref, label, array}

/** keep(): the server's answer for the drawing, which it keeps; clear(): takes it from the pad. */
export function labelled(keep, clear) {
  const label = byId("drawn-label");
  let known = 0;
  on("state", () => {
    if (classCount() === known) return;
    known = classCount();
    options(
      label,
      Array.from({ length: known }, (_, k) => [k, className(k)]),
      0,
    );
  });
  on("status", show);
  on("state", () => {
    forgetLost();
    show();
  });
  let busy = false;
  byId("drawn-keep").addEventListener("click", async () => {
    if (busy) return;
    busy = true;
    const given = Number(label.value);
    try {
      const { ref, pixels: text, shape } = await keep();
      items.push({ ref, label: given, array: pixels(text, shape) });
      if (items.length > MOST) items.shift();
      clear();
      show();
    } catch (error) {
      notice(error.message, "bad");
    } finally {
      busy = false;
    }
  });
  byId("learn").addEventListener("click", learn);
  show();
}

/** Images of one's own go with the network that they were made for. */
function forgetLost() {
  const kept = new Set(state.own.map(({ index }) => index));
  const there = items.filter(({ ref }) => kept.has(ref.index));
  const lost = items.length - there.length;
  if (!lost) return;
  items.splice(0, items.length, ...there);
  notice(`The server keeps ${lost} of your labelled drawings no more: they are taken away.`);
}

function show() {
  byId("kept").replaceChildren(
    ...items.map((item, n) => {
      const words = `${className(item.label)}`;
      const away = button("×", () => (items.splice(n, 1), show()), {
        class: "link",
        "aria-label": `Take away drawing ${n + 1}, labelled ${words}`,
      });
      return h("li", {}, picture(item.array, `drawing ${n + 1}`), h("span", {}, words, " ", away));
    }),
  );
  byId("learn").setAttribute("aria-disabled", String(!items.length || running()));
  byId("learn-box").hidden = !items.length;
}

async function learn() {
  if (!items.length) return;
  const steps = Number(byId("learn-steps").value);
  notice(`Training on ${items.length} of your drawings …`);
  try {
    await post("api/learn", { items: items.map(({ ref, label }) => ({ ref, label })), steps });
    notice("Trained on your drawings: these weights are no longer those of convlet train.");
  } catch (error) {
    notice(error.message, "bad");
  }
}
