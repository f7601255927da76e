// The number: a panel that shows how one number was made, and leads on to those behind it.

import { newest, post } from "./api.js";
import { announce } from "./bar.js";
import { byId, h, say } from "./dom.js";
import { exact, letterOf, maths } from "./letters.js";
import { on, running, state } from "./store.js";
import { terms } from "./terms.js";
import { differenceOf, stepOf, sumOf } from "./told.js";

const WHILE_TRAINING = 1_000; // ms
const LONGEST = 100; // steps back
const DERIVATIVES = new Set(["delta", "error", "dx", "w", "b"]);

let pictures = [];
const trail = [];
let opener = null;
let compared = null; // the address that central differences were asked for
let wrong = false; // there is no number at the last address of the trail
let shownFor = "";

/** Pictures on which the numbers of an explanation are framed. */
export function register(picture) {
  pictures.push(picture);
}

/** Those of an earlier network are gone. */
export function forgetPictures() {
  pictures = pictures.filter(({ element }) => element.isConnected);
}

/** Every picture again, in the colours of the scheme that is on now. */
export function repaint() {
  for (const picture of pictures) picture.repaint();
}

/** Show the number at an address; from is what the keyboard goes back to. */
export function explain(address, from) {
  if (from) opener = from;
  if (wrong) trail.pop(); // nothing to come back to
  wrong = false;
  if (trail.at(-1) !== address) trail.push(address);
  if (trail.length > LONGEST) trail.shift();
  compared = null;
  document.body.classList.add("with-number");
  load();
}

/** The panel without a number, to ask for one by its place; in a large window it is always there. */
function open(event) {
  opener = event.currentTarget;
  document.body.classList.add("with-number");
  byId("goto-address").focus();
}

export function numberPanel() {
  byId("number-open").addEventListener("click", open);
  byId("number-close").addEventListener("click", close);
  byId("number").addEventListener("keydown", (event) => event.key === "Escape" && close());
  byId("number-back").addEventListener("click", () => {
    trail.pop();
    compared = null;
    load();
  });
  byId("compare").addEventListener("click", () => {
    compared = trail.at(-1);
    load();
  });
  byId("goto").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = byId("goto-address").value.trim();
    if (words) explain(words);
  });
  on("forward backward", () => trail.length && (running() ? later() : load()));
}

function close() {
  document.body.classList.remove("with-number");
  trail.length = 0;
  wrong = false;
  showNone();
  say(byId("number-error"), "");
  if (opener?.isConnected) opener.focus({ preventScroll: true });
}

const load = newest(ask);
const later = newest(ask, WHILE_TRAINING);

async function ask() {
  const what = trail.at(-1);
  if (!what) return;
  if (!state.image) return say(byId("number-error"), "Choose or draw an image first.");
  const { image, label } = state;
  const differences = compared === what;
  try {
    const told = await post("api/explain", { ref: image.ref, label, what, differences });
    if (what === trail.at(-1)) show(told);
  } catch (error) {
    if (what !== trail.at(-1)) return;
    wrong = error.status === 422;
    showNone();
    say(byId("number-error"), error.status ? error.message : "The server does not answer.");
  }
}

/** Nothing stays of the number before. */
function showNone() {
  const body = byId("number-body");
  if (body.contains(document.activeElement)) byId("number").focus({ preventScroll: true });
  body.hidden = true;
  shownFor = "";
  for (const picture of pictures) picture.mark([]);
}

function show(told) {
  const { what, title, equation, formula, value } = told;
  wrong = false;
  say(byId("number-error"), "");
  byId("number-body").hidden = false;
  say(byId("number-title"), title);
  showEquation(equation);
  const letter = h("span", { class: "maths" }, maths(letterOf(what, true)));
  byId("number-value").replaceChildren(letter, " = ", h("strong", {}, exact(value)));
  byId("number-formula").replaceChildren(...maths(formula));
  showBack();
  terms(byId("number-terms"), told, explain);
  byId("number-sum").replaceChildren(...sumOf(told, explain));
  byId("number-step").replaceChildren(...stepOf(told));
  byId("number-difference").replaceChildren(...differenceOf(told));
  byId("compare").hidden = !DERIVATIVES.has(what.split("/")[0]) || Boolean(told.difference);
  byId("goto-address").value = what;
  frame(told);
  greet(told);
}

function showEquation(equation) {
  const link = byId("number-equation");
  link.hidden = !equation;
  if (!equation) return;
  link.href = `derivation.html#eq-${equation}`;
  say(link, `(${equation})`);
  link.setAttribute("aria-label", `Equation ${equation} in the derivation`);
}

function showBack() {
  const back = byId("number-back");
  const last = trail.length < 2;
  if (last && back === document.activeElement) byId("number").focus({ preventScroll: true });
  back.hidden = last;
  if (back.hidden) return;
  const letter = h("span", { class: "maths" }, maths(letterOf(trail.at(-2), true)));
  back.replaceChildren("← ", letter);
}

/** When another number is shown: from the top, and to a screen reader. */
function greet({ what, title, value, equation }) {
  const key = `${what} ${JSON.stringify(state.image.ref)}`;
  if (key === shownFor) return;
  shownFor = key;
  byId("number").scrollTo(0, 0);
  const by = equation ? `, by equation ${equation}` : "";
  announce(`${title}: ${exact(value)}${by}. The panel "The number" shows how.`);
}

/** Frames on the pictures around what the number was made of, and around itself. */
function frame({ what, terms: parts }) {
  const groups = new Map();
  const places = [what, ...parts.flatMap((term) => term.places ?? [])];
  for (const address of places) {
    const [, array, indices] = /^(.+)\/([^/]+)$/.exec(address ?? "") ?? [];
    if (!array) continue; // a zero of the padding, or the cost
    if (!groups.has(array)) groups.set(array, []);
    groups.get(array).push(indices.split(",").map(Number));
  }
  for (const picture of pictures) picture.mark(groups.get(picture.address) ?? []);
}
