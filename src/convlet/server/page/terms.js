// The terms of a sum: small windows in numbers, large ones as pictures, the largest in a list.

import { h, options } from "./dom.js";
import { number } from "./letters.js";
import { maps } from "./maps.js";
import { ranking } from "./ranking.js";
import { captionOf, windowOf } from "./windows.js";

const SIDE = 7; // the longest side of a window that is shown in numbers
const ROWS = 8; // of the list, at first

let channel = 0;
let many = ROWS;
let shownFor = "";

/** Show the terms of an explanation inside `frame`; pick(address) follows a number. */
export function terms(frame, told, pick) {
  if (told.what !== shownFor) [shownFor, channel, many] = [told.what, 0, ROWS];
  const again = () => terms(frame, told, pick);
  const focused = frame.contains(document.activeElement) ? document.activeElement.id : "";
  const parts = told.terms.filter(({ values }) => values.length);
  frame.replaceChildren(...pieces(parts, told.left_out, pick, again));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function pieces(parts, leftOut, pick, again) {
  if (!parts.length) return [];
  const [rows, columns, ...deep] = parts[0].shape;
  const channels = deep.reduce((product, size) => product * size, 1);
  const flat = parts[0].shape.length < 2 || leftOut > 0;
  const more = () => {
    many *= 4;
    again();
  };
  const list = ranking(parts, leftOut, many, pick, more);
  if (flat) return [list];
  if (rows > SIDE || columns > SIDE) return [...parts.map((term) => large(term, pick)), list];
  const shown = parts.map((term, n) => windowOf(term, channel, channels, pick, `term-${n}`));
  const windows = h("div", { class: "windows" }, shown);
  return channels > 1 ? [channelChoice(parts.at(-1), channels, again), windows, list] : [windows];
}

/** A term as a picture on which a number can be followed. */
function large(term, pick) {
  const place = (address) => address.split("/")[1];
  const follow = (address) => {
    const indices = place(address).split(",").map(Number);
    const n = indices.reduce((sum, index, axis) => sum * term.shape[axis] + index, 0);
    if (term.places[n]) pick(term.places[n]);
  };
  const picture = maps({
    address: "term",
    words: `${term.name}, ${term.shape.join(" x ")}`,
    sizes: term.shape,
    letter: (address) => `${term.letter}_{${place(address)}}`,
    goal: 150,
    pick: term.places && follow,
  });
  picture.show({ values: Float32Array.from(term.values, Number) });
  return h("figure", {}, captionOf(term), picture.element);
}

function channelChoice(products, channels, again) {
  const sum = (r) =>
    products.values.reduce((all, one, n) => (n % channels === r ? all + one : all), 0);
  const words = (r) => `${r}, sums to ${number(sum(r), 3)}`;
  const entries = Array.from({ length: channels }, (_, r) => [r, words(r)]);
  const select = options(h("select", { id: "term-channel" }), entries, channel);
  select.addEventListener("change", () => {
    channel = Number(select.value);
    again();
  });
  const label = h("label", { for: "term-channel" }, "channel");
  return h(
    "p",
    { class: "inline" },
    label,
    select,
    h("span", { class: "soft" }, ` of ${channels}`),
  );
}
