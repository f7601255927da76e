// A small window of a term as a table of numbers in their colours, one channel at a time.

import { largest } from "./arrays.js";
import { cell } from "./colours.js";
import { box, button, h } from "./dom.js";
import { maths, number } from "./letters.js";

const WIDEST = 6; // letters of a number in a cell

/** One channel of a term, shape (rows, columns, ...).  pick(address) follows a number. */
export function windowOf(term, channel, channels, pick, id) {
  const [rows, columns] = term.shape;
  const most = largest(term.values);
  const lines = [];
  for (let i = 0; i < rows; i += 1) {
    const line = h("tr");
    for (let j = 0; j < columns; j += 1) {
      const n = (i * columns + j) * channels + channel;
      line.append(
        h("td", {}, numberCell(term.values[n], most, term.places?.[n], pick, `${id}-${n}`)),
      );
    }
    lines.push(line);
  }
  const caption = h("caption", { class: "hidden" }, `${term.name}, ${rows} by ${columns}`);
  const table = h("table", { class: "square" }, caption, h("tbody", {}, lines));
  return h("figure", {}, captionOf(term), box(term.name, table));
}

/** The letter and the name of a term. */
export function captionOf({ letter, name }) {
  return h("figcaption", {}, h("span", { class: "maths" }, maths(letter)), ` ${name}`);
}

function numberCell(value, most, address, pick, id) {
  const words = short(value);
  const look = { id, class: "cell", title: address, "aria-label": `${address}: ${words}` };
  const follow = () => pick(address);
  const element = address ? button(words, follow, look) : h("span", { class: "cell" }, words);
  const [background, ink] = cell(value ?? 0, most);
  element.style.setProperty("background-color", background);
  element.style.setProperty("color", ink);
  return element;
}

function short(value) {
  const words = number(value, 2);
  return words.length > WIDEST ? number(value, 1) : words;
}
