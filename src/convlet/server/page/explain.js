// The number: a panel that shows how one number was made, and leads on to those that it was made of.

import { newest, post } from "./api.js";
import { announce } from "./bar.js";
import { button, byId, h, say } from "./dom.js";
import { exact, letterOf, maths, number } from "./letters.js";
import { on, running, state } from "./store.js";
import { terms } from "./terms.js";

const WHILE_TRAINING = 1_000; // ms
const pictures = [];
const trail = [];
let opener = null;
let compared = null; // the address that central differences were asked for
let shownFor = "";

/** Pictures on which the numbers of an explanation are framed. */
export function register(picture) {
  pictures.push(picture);
  if (pictures.length > 400)
    pictures.splice(
      0,
      pictures.findIndex((one) => one.element.isConnected),
    ); // of earlier networks
}

/** Show the number at an address; from is what the keyboard goes back to. */
export function explain(address, from) {
  if (from) opener = from;
  if (trail.at(-1) !== address) trail.push(address);
  if (trail.length > 100) trail.shift();
  compared = null;
  document.body.classList.add("with-number");
  load();
}

export function numberPanel() {
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
  for (const picture of pictures) picture.mark([]);
  trail.length = 0;
  byId("number-body").hidden = true;
  if (opener?.isConnected) opener.focus({ preventScroll: true });
}

const load = newest(ask);
const later = newest(ask, WHILE_TRAINING);

async function ask() {
  const what = trail.at(-1);
  if (!what || !state.image) return;
  const question = {
    ref: state.image.ref,
    label: state.label,
    what,
    differences: compared === what,
  };
  try {
    const told = await post("api/explain", question);
    if (what === trail.at(-1)) show(told);
  } catch (error) {
    say(byId("number-error"), error.message);
    if (error.status === 422 || error.status === 400) trail.pop();
  }
}

function show(told) {
  say(byId("number-error"), "");
  byId("number-body").hidden = false;
  say(byId("number-title"), told.title);
  const link = byId("number-equation");
  link.hidden = !told.equation;
  if (told.equation) {
    link.href = `derivation.html#eq-${told.equation}`;
    say(link, `(${told.equation})`);
    link.setAttribute("aria-label", `Equation ${told.equation} in the derivation`);
  }
  byId("number-value").replaceChildren(
    h("span", { class: "maths" }, maths(letterOf(told.what))),
    " = ",
    h("strong", {}, exact(told.value)),
  );
  byId("number-formula").replaceChildren(...maths(told.formula));
  byId("number-back").hidden = trail.length < 2;
  if (trail.length > 1)
    byId("number-back").replaceChildren(
      "← ",
      h("span", { class: "maths" }, maths(letterOf(trail.at(-2)))),
    );
  terms(byId("number-terms"), told, explain);
  byId("number-sum").replaceChildren(...sum(told));
  byId("number-step").replaceChildren(...step(told));
  difference(told);
  byId("goto-address").value = told.what;
  frame(told);
  const key = `${told.what} ${JSON.stringify(state.image.ref)}`;
  if (key !== shownFor)
    announce(
      `${told.title}: ${exact(told.value)}${told.equation ? `, by equation ${told.equation}` : ""}. The panel "The number" shows how.`,
    );
  shownFor = key;
}

function sum({ terms: parts, summed, bias, value }) {
  if (!parts.length) return [];
  const added = bias
    ? [
        " + ",
        button(h("span", { class: "maths" }, maths(bias.letter)), () => explain(bias.place), {
          class: "link",
        }),
        ` ${exact(bias.value)}`,
      ]
    : [];
  const total = bias ? number(summed - bias.value, 6) : number(summed, 7);
  return [
    h(
      "p",
      {},
      bias ? `Sum of the products ${total}` : `From these numbers ${total}`,
      added,
      bias ? ` = ${number(summed, 7)}` : null,
      ".",
    ),
    h("p", {}, "The core computed ", h("strong", { id: "core-value" }, exact(value)), "."),
  ];
}

function step({ step: made, what }) {
  if (!made) return [];
  const letter = letterOf(what);
  return [
    h("h3", {}, "The step (21) that it takes by this image alone"),
    h(
      "p",
      {},
      h("span", { class: "maths" }, "−η ", maths(`∂E/∂${letter}`)),
      ` = −${number(made.learning_rate)} · ${number(made.change / -made.learning_rate || 0, 6)} = ${number(made.change, 6)}`,
    ),
    h(
      "p",
      {},
      h("span", { class: "maths" }, maths(letter)),
      ` goes from ${exact(made.before)} to ${exact(made.after)}.`,
    ),
  ];
}

const DERIVATIVES = new Set(["delta", "error", "dx", "w", "b"]);

function difference({ what, difference: made }) {
  byId("compare").hidden = !DERIVATIVES.has(what.split("/")[0]) || Boolean(made);
  const words = made
    ? [
        h(
          "p",
          {},
          "Central differences, step ",
          number(made.epsilon, 2),
          ": ",
          h("strong", {}, number(made.value, 8)),
          ".",
        ),
        h(
          "p",
          {},
          made.kink
            ? "A ReLU or a pool changes sides within the step: there is no derivative here, and (4) and (10) say which the core takes."
            : `They differ by ${number(made.relative_error, 2)} of the value.`,
        ),
      ]
    : [];
  byId("number-difference").replaceChildren(...words);
}

/** Frames on the pictures around what the number was made of, and around itself. */
function frame({ what, terms: parts }) {
  const groups = new Map();
  const add = (address) => {
    const cut = address.lastIndexOf("/");
    const key = address.slice(0, cut);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(
      address
        .slice(cut + 1)
        .split(",")
        .map(Number),
    );
  };
  if (what.includes("/")) add(what);
  for (const { places } of parts) for (const address of places ?? []) if (address) add(address);
  for (const picture of pictures) picture.mark(groups.get(picture.address) ?? []);
}

/** Every picture again, in the colours of the scheme that is on now. */
export function repaint() {
  for (const picture of pictures) picture.repaint();
}
