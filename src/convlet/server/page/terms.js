// The terms of a sum: small windows in numbers, large ones as pictures, the largest in a list.

import { largest } from "./arrays.js";
import { cell } from "./colours.js";
import { box, button, h, options, table } from "./dom.js";
import { letterOf, maths, number } from "./letters.js";
import { maps } from "./maps.js";

const SIDE = 7; // the longest side of a window that is shown in numbers
const ROWS = 8;

let channel = 0;
let many = ROWS;
let shownFor = "";

/** Show the terms of an explanation inside `frame`; pick(address) follows a number. */
export function terms(frame, told, pick) {
  if (told.what !== shownFor) [shownFor, channel, many] = [told.what, 0, ROWS];
  const again = () => terms(frame, told, pick);
  const parts = told.terms.filter((term) => term.values.length);
  const focus = frame.contains(document.activeElement) ? document.activeElement.id : "";
  if (!parts.length) return frame.replaceChildren();
  const [rows, columns, ...deep] = parts[0].shape;
  const spatial = parts[0].shape.length > 1 && !told.left_out;
  const small = spatial && rows <= SIDE && columns <= SIDE;
  const channels = deep.reduce((product, size) => product * size, 1);
  const pieces = [];
  if (small && channels > 1) pieces.push(channelChoice(parts, channels, again));
  if (small)
    pieces.push(
      h(
        "div",
        { class: "windows" },
        parts.map((term, n) => square(term, n, Math.min(channel, channels - 1), channels, pick)),
      ),
    );
  const drawn = spatial && !small ? parts.map((term) => large(term, pick)) : [];
  pieces.push(...drawn.map(({ figure }) => figure));
  if (!small || channels > 1) pieces.push(list(told, parts, pick, again));
  frame.replaceChildren(...pieces);
  for (const { picture, term } of drawn)
    picture.show({ shape: term.shape, values: Float32Array.from(term.values, Number) });
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

/** A term as a picture on which a number can be followed. */
function large(term, pick) {
  const follow = (address) => {
    const place = address.split("/")[1].split(",").map(Number);
    const flat = place.reduce((sum, index, axis) => sum * term.shape[axis] + index, 0);
    if (term.places[flat]) pick(term.places[flat]);
  };
  const picture = maps({
    address: "term",
    sizes: term.shape,
    letter: (address) => `${term.letter}_{${address.split("/")[1]}}`,
    words: `${term.name}, ${term.shape.join(" x ")}`,
    goal: 150,
    pick: term.places && follow,
  });
  return {
    term,
    picture,
    figure: h(
      "figure",
      {},
      h("figcaption", {}, h("span", { class: "maths" }, maths(term.letter)), ` ${term.name}`),
      picture.element,
    ),
  };
}

function channelChoice(parts, channels, again) {
  const select = options(
    h("select", {
      id: "term-channel",
      onchange: (event) => {
        channel = Number(event.target.value);
        again();
      },
    }),
    Array.from({ length: channels }, (_, r) => [
      r,
      `${r}, sums to ${number(sumOf(parts.at(-1), r, channels), 3)}`,
    ]),
    channel,
  );
  return h(
    "p",
    { class: "inline" },
    h("label", { for: "term-channel" }, "channel"),
    select,
    h("span", { class: "soft" }, ` of ${channels}`),
  );
}

function sumOf(term, r, channels) {
  return term.values.reduce((sum, value, n) => (n % channels === r ? sum + value : sum), 0);
}

/** One channel of a term as a table of numbers in their colours. */
function square(term, number_, r, channels, pick) {
  const [rows, columns] = term.shape;
  const most = largest(term.values);
  const body = Array.from({ length: rows }, (_, i) =>
    h(
      "tr",
      {},
      Array.from({ length: columns }, (_, j) => {
        const n = (i * columns + j) * channels + r;
        return h(
          "td",
          {},
          numberCell(term.values[n], most, term.places?.[n], pick, `term-${number_}-${n}`),
        );
      }),
    ),
  );
  return h(
    "figure",
    {},
    h("figcaption", {}, h("span", { class: "maths" }, maths(term.letter)), ` ${term.name}`),
    box(
      term.name,
      h(
        "table",
        { class: "square" },
        h("caption", { class: "hidden" }, `${term.name}, ${rows} by ${columns}`),
        h("tbody", {}, body),
      ),
    ),
  );
}

function numberCell(value, most, address, pick, id) {
  const words = short(value);
  const element = address
    ? button(words, () => pick(address), {
        id,
        class: "cell",
        title: address,
        "aria-label": `${address}: ${words}`,
      })
    : h("span", { class: "cell" }, words);
  const [background, ink] = cell(value ?? 0, most);
  element.style.setProperty("background-color", background);
  element.style.setProperty("color", ink);
  return element;
}

/** A number in six letters or less. */
function short(value) {
  const words = number(value, 2);
  return words.length <= 6
    ? words
    : value.toExponential(0).replace("-", "−").replace("e-", "e−").replace("e+", "e");
}

/** The terms that weigh most, as rows of a table. */
function list(told, parts, pick, again) {
  const last = parts.at(-1);
  const order = last.values
    .map((_, n) => n)
    .sort((a, b) => Math.abs(last.values[b]) - Math.abs(last.values[a]));
  const chosen = order.slice(0, many);
  const rest = order.slice(many).reduce((sum, n) => sum + last.values[n], 0);
  const left = order.length - chosen.length + (told.left_out ?? 0);
  const linked = (term, n) => {
    const address = term.places?.[n];
    const words = number(term.values[n], 4);
    return address
      ? button(
          [h("span", { class: "maths" }, maths(letterOf(address))), ` ${words}`],
          () => pick(address),
          { class: "link", id: `list-${parts.indexOf(term)}-${n}` },
        )
      : words;
  };
  const head = ["rank", ...parts.map((term) => h("span", { class: "maths" }, maths(term.letter)))];
  const rows = chosen.map((n, place) => [
    String(place + 1),
    ...parts.map((term) => linked(term, n)),
  ]);
  const words = left ? "The terms that weigh most" : "The terms";
  const inside = [h("h3", {}, words), box(words, table(words, head, rows))];
  if (left) {
    const sum = told.left_out ? "" : `, together ${number(rest, 4)}`;
    inside.push(
      h(
        "p",
        {},
        `and ${left} others${sum} `,
        many < order.length &&
          button("Show more", () => ((many *= 4), again()), { class: "link", id: "terms-more" }),
      ),
    );
  }
  return h("div", {}, inside);
}
