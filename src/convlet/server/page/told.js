// What an explanation says below its terms: the sum, the step, the central difference.

import { button, h } from "./dom.js";
import { exact, letterOf, maths, number } from "./letters.js";

const KINK =
  "A ReLU or a pool stands on its kink here: there is no derivative, and (4) and (10) say which " +
  "one the core takes.";

const letters = (text) => h("span", { class: "maths" }, maths(text));

/** The sum of the terms, and what the core computed.  pick(address) follows the bias. */
export function sumOf({ terms, summed, bias, value, equation }, pick) {
  const said = [];
  const products = terms.some(({ role }) => role === "products");
  if (terms.length && bias) {
    const link = button(letters(bias.letter), () => pick(bias.place), { class: "link" });
    const before = `Sum of the products ${number(summed - bias.value, 6)} + `;
    said.push(h("p", {}, before, link, ` ${exact(bias.value)} = ${number(summed, 7)}.`));
  } else if (terms.length) {
    const sum = equation === 4 ? "The greatest" : "Sum of the products";
    const what = products ? sum : "From these numbers";
    said.push(h("p", {}, `${what} ${number(summed, 7)}.`));
  }
  const core = h("strong", { id: "core-value" }, exact(value));
  return [...said, h("p", {}, "The core computed ", core, ".")];
}

/** The step (21) of a weight or a bias. */
export function stepOf({ step, what, value }) {
  if (!step) return [];
  const { learning_rate: rate, change, before, after } = step;
  const product = ` = −${number(rate)} · ${number(value, 6)} = ${number(change, 6)}`;
  return [
    h("h3", {}, "The plain step (21) that it would take by this image alone"),
    h("p", {}, letters(`−η ${letterOf(what, true)}`), product),
    h("p", {}, letters(letterOf(what)), ` goes from ${exact(before)} to ${exact(after)}.`),
  ];
}

/** The central difference, where it was asked for. */
export function differenceOf({ difference }) {
  if (!difference) return [];
  const { epsilon, value, relative_error: error, kink } = difference;
  const strong = h("strong", {}, number(value, 8));
  return [
    h("p", {}, `Central differences, step ${number(epsilon, 2)}: `, strong, "."),
    h("p", {}, kink ? KINK : `They differ by ${number(error, 2)} of the value.`),
  ];
}
