// The terms of a sum that weigh most, as rows of a table.

import { box, button, h, table } from "./dom.js";
import { letterOf, maths, number } from "./letters.js";

/**
 * The `many` terms whose last number is farthest from 0.
 *
 * leftOut: how many more there are than the terms hold.  pick(address) follows a number, more()
 * asks for a longer list.
 */
export function ranking(terms, leftOut, many, pick, more) {
  const last = terms.at(-1).values;
  const order = last.map((_, n) => n).sort((a, b) => Math.abs(last[b]) - Math.abs(last[a]));
  const left = Math.max(order.length - many, 0) + leftOut;
  const words = left ? "The terms that weigh most" : "The terms";
  const head = ["rank", ...terms.map(({ letter }) => letters(letter))];
  const rows = order.slice(0, many).map((n, place) => {
    return [String(place + 1), ...terms.map((term, t) => linked(term, n, pick, `list-${t}-${n}`))];
  });
  const inside = [h("h3", {}, words), box(words, table(words, head, rows))];
  if (left) inside.push(others(order.slice(many), left, leftOut, last, more));
  return h("div", {}, inside);
}

const letters = (text) => h("span", { class: "maths" }, maths(text));

function linked(term, n, pick, id) {
  const words = number(term.values[n]);
  const address = term.places?.[n];
  if (!address) return words;
  return button([letters(letterOf(address)), ` ${words}`], () => pick(address), {
    class: "link",
    id,
  });
}

/** What the rest comes to, and a button for more of it. */
function others(rest, left, leftOut, last, more) {
  const sum = number(rest.reduce((total, n) => total + last[n], 0));
  const words = `and ${left} others${leftOut ? "" : `, together ${sum}`} `;
  const link = rest.length ? button("Show more", more, { class: "link", id: "terms-more" }) : null;
  return h("p", {}, words, link);
}
