// The confusion matrix and the surest mistakes, after every epoch and when asked for.

import { post } from "./api.js";
import { pixels } from "./arrays.js";
import { notice } from "./bar.js";
import { choose, name } from "./chosen.js";
import { box, button, byId, h, say } from "./dom.js";
import { count, percent } from "./letters.js";
import { picture } from "./picture.js";
import { beforeFrame, className, on, state } from "./store.js";

const MOST = 30; // classes whose matrix is drawn

export function judged() {
  const draw = beforeFrame(show);
  on("evaluation state", draw);
  byId("evaluate").addEventListener("click", async () => {
    try {
      await post("api/evaluate", {});
      notice("");
    } catch (error) {
      notice(error.message, "bad");
    }
  });
}

function show() {
  const known = state.evaluation;
  byId("judged").hidden = !known?.mistakes.length;
  say(
    byId("judged-words"),
    known
      ? `${percent(known.accuracy)} of the ${known.of} images are right.`
      : "Not judged yet: this comes after every epoch, or now.",
  );
  if (!known) return;
  const small = known.classes.length <= MOST;
  const words = `With ${known.classes.length} classes the matrix is in the report.`;
  byId("confusion").replaceChildren(small ? matrix(known) : h("p", { class: "soft" }, words));
  byId("mistakes").replaceChildren(...known.mistakes.map((one) => mistake(one, known.shape)));
}

function matrix({ confusion, classes }) {
  const mistakes = confusion.map((row, i) => Math.max(...row.filter((_, j) => i !== j)));
  const most = Math.max(...mistakes, 1);
  const cell = (value, i, j) => {
    const element = h("td", { class: i === j ? "right" : "wrong" }, value ? count(value) : "");
    const total = confusion[i].reduce((sum, one) => sum + one, 0) || 1;
    const wrong = value ? 8 + (40 * value) / most : 0;
    const tint = i === j ? (35 * value) / total : wrong;
    element.style.setProperty("--tint", `${Math.round(tint)}%`);
    return element;
  };
  const words = "Confusion matrix: rows are the labels, columns what the network took them for";
  return box(
    words,
    h(
      "table",
      { class: "confusion" },
      h("caption", {}, "label in rows, taken for in columns"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", {}),
          classes.map((one) => h("th", { scope: "col" }, one)),
        ),
      ),
      h(
        "tbody",
        {},
        confusion.map((row, i) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, classes[i]),
            row.map((value, j) => cell(value, i, j)),
          ),
        ),
      ),
    ),
  );
}

function mistake(one, shape) {
  const { label, predicted, probability } = one;
  const taken = `taken for ${className(predicted)} at ${percent(probability, 0)}`;
  const seen = one.pixels && picture(pixels(one.pixels, shape), name(one));
  const look = () => {
    choose({ ...one, shape });
    byId("look").scrollIntoView();
  };
  const words = h("span", {}, `${className(label)}, ${taken}`);
  return h("li", {}, button([seen, words].filter(Boolean), look, { class: "pick" }));
}
