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
  byId("judged").hidden = !known;
  say(
    byId("judged-words"),
    known
      ? `${percent(known.accuracy)} of the ${known.of} images are right.`
      : "Not judged yet: this comes after every epoch, or now.",
  );
  if (!known) return;
  byId("confusion").replaceChildren(
    known.confusion.length <= MOST
      ? matrix(known)
      : h(
          "p",
          { class: "soft" },
          `With ${known.confusion.length} classes the matrix is in the report.`,
        ),
  );
  byId("mistakes").replaceChildren(...known.mistakes.map(mistake));
}

function matrix({ confusion, classes }) {
  const names = classes ?? confusion.map((_, k) => className(k));
  const most = Math.max(
    ...confusion.map((row, i) => Math.max(...row.filter((_, j) => i !== j))),
    1,
  );
  const cell = (value, i, j) => {
    const element = h("td", { class: i === j ? "right" : "wrong" }, value ? count(value) : "");
    const total = confusion[i].reduce((sum, one) => sum + one, 0) || 1;
    element.style.setProperty(
      "--tint",
      `${Math.round(i === j ? (35 * value) / total : value ? 8 + (40 * value) / most : 0)}%`,
    );
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
          names.map((one) => h("th", { scope: "col" }, one)),
        ),
      ),
      h(
        "tbody",
        {},
        confusion.map((row, i) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, names[i]),
            row.map((value, j) => cell(value, i, j)),
          ),
        ),
      ),
    ),
  );
}

function mistake(one) {
  const image = one.image ?? one;
  const words = `${className(one.label)}, taken for ${className(one.predicted)} at ${percent(one.probability, 0)}`;
  const shape = image.shape ?? one.shape ?? state.data?.shape;
  const seen = image.pixels
    ? picture(pixels(image.pixels, shape), name({ ref: image.ref, label: one.label }))
    : "";
  const press = button(
    [seen, h("span", {}, words)],
    () => (choose({ ...image, label: one.label, shape }), byId("look").scrollIntoView()),
    { class: "pick" },
  );
  return h("li", {}, press);
}
