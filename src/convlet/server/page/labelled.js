// Drawings with a label, and training on them.

import { get, post, start } from "./api.js";
import { pixels } from "./arrays.js";
import { notice } from "./bar.js";
import { button, byId, h, options } from "./dom.js";
import { picture } from "./picture.js";
import { className, classCount, on, running, state } from "./store.js";

const MOST = 32; // the server keeps 64 images of one's own
const KEY = "convlet-live-kept";
const items = []; // {ref, label, name, array}; name: of the class when it was labelled
let server = null; // the token of the one that keeps them
let restoring = null; // until what it keeps from before is here

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
    if (server !== start.token) restoring ??= restore().finally(() => (restoring = null));
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
      items.push({ ref, label: given, name: className(given), array: pixels(text, shape) });
      if (items.length > MOST) items.shift();
      clear();
      changed();
    } catch (error) {
      notice(error.message, "bad");
    } finally {
      busy = false;
    }
  });
  byId("learn").addEventListener("click", learn);
  show();
}

/** Images of one's own go with the network that they were made for, labels with its classes. */
function forgetLost() {
  const kept = new Set(state.own.map(({ index }) => index));
  const there = items.filter((item) => kept.has(item.ref.index) && means(item));
  const lost = items.length - there.length;
  if (!lost) return;
  items.splice(0, items.length, ...there);
  changed();
  tellLost(lost);
}

function means({ label, name }) {
  return label < classCount() && className(label) === name;
}

function tellLost(lost) {
  notice(
    `${lost} of your labelled drawings are taken away:` +
      " the server keeps them no more, or their class is another one now.",
  );
}

/** The labels stay in this tab, the images on the server, which is another one after a restart. */
function changed() {
  show();
  if (server !== start.token) return; // those from before are not here yet
  const labels = items.map(({ ref, label, name }) => [ref.index, { label, name }]);
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ server, labels }));
  } catch {
    // a frame without storage
  }
}

/** What was labelled before the page was loaded again, as far as the server has it. */
async function restore() {
  const token = start.token;
  if (server !== null) items.length = 0; // those of another server
  server = null;
  const labels = stored(token);
  try {
    if (labels.size) {
      const { images, shape } = await get("api/images?part=own&count=200");
      const found = images.filter(({ ref }) => labels.has(ref.index));
      const before = found.map(({ ref, pixels: text }) => {
        return { ref, ...labels.get(ref.index), array: pixels(text, shape) };
      });
      const right = before.filter(means);
      items.unshift(...right);
      if (right.length < labels.size) tellLost(labels.size - right.length);
    }
    server = token;
    changed();
  } catch (error) {
    notice(error.message, "bad"); // and it is tried again with the next state
  }
}

/** Label and name of its class by number of an image. */
function stored(token) {
  try {
    const known = JSON.parse(sessionStorage.getItem(KEY));
    return new Map(known?.server === token ? known.labels : []);
  } catch {
    return new Map();
  }
}

function show() {
  byId("kept").replaceChildren(
    ...items.map((item, n) => {
      const words = item.name;
      const away = button("×", () => (items.splice(n, 1), changed()), {
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
