// An array as a picture on which a number can be chosen, with a pointer or with the keyboard.

import { board } from "./board.js";
import { h, say } from "./dom.js";
import { exact, letterOf, maths } from "./letters.js";

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const HINT = "Arrow keys move, Page Up and Page Down change the map, Enter shows the number.";

/**
 * A picture of arrays of these sizes.  address: "z/0", to which places are added; words: its name;
 * pick(address, field): for a chosen number.  scale: "signed", "heat" or "grey"; goal: pixels of a
 * tile; scrolls: whether it may be wider than the page; letter(address): of a number.
 */
export function maps({
  address,
  words,
  sizes,
  pick,
  scale = "signed",
  goal,
  scrolls,
  letter = letterOf,
}) {
  const label = `${words}. ${HINT}`;
  const field = h("div", { class: "maps", role: "application", tabindex: 0, "aria-label": label });
  const cursor = h("div", { class: "cursor", hidden: true });
  const shown = board(field, sizes, scale, goal);
  field.append(cursor);
  const readout = h("p", { class: "readout" });
  const more = h("small", { class: "soft" });
  const frame = scrolls ? h("div", { class: "maps-box" }, field) : field;
  const element = h("div", { class: "picture" }, frame, readout, more);
  let at = [0, 0, 0];

  const here = () =>
    `${address}/${shown
      .layout()
      .index(...at)
      .join(",")}`;
  const choose = () => pick?.(here(), field);

  function go(next) {
    if (!next || !shown.has(next)) return;
    at = next;
    tellPlace();
  }

  function tellPlace() {
    cursor.hidden = false;
    shown.around(cursor, at);
    readout.replaceChildren(...maths(letter(here())), ` = ${exact(shown.value(at))}`);
  }

  field.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && shown.ready()) go(shown.under(event));
  });
  field.addEventListener("click", (event) => {
    const found = shown.ready() && shown.under(event);
    if (!found) return;
    go(found);
    choose();
  });
  field.addEventListener("keydown", (event) => {
    if (!shown.ready() || event.altKey || event.ctrlKey || event.metaKey) return;
    const [tile, row, column] = at;
    const arrow = ARROWS[event.key];
    const turn = { PageUp: -1, PageDown: 1 }[event.key];
    if (arrow) go([tile, row + arrow[0], column + arrow[1]]);
    else if (turn) go([tile + turn, row, column]);
    else if (event.key === "Enter" || event.key === " ") choose();
    else return;
    event.preventDefault();
  });
  field.addEventListener("focus", () => {
    readout.setAttribute("aria-live", "polite"); // a pointer that passes is not read aloud
    if (shown.ready()) tellPlace();
  });
  field.addEventListener("blur", () => {
    readout.removeAttribute("aria-live");
    cursor.hidden = true;
  });
  field.addEventListener("pointerleave", () => {
    if (document.activeElement !== field) cursor.hidden = true;
  });

  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(element.clientWidth - width) < 2 || !element.clientWidth) return;
    width = element.clientWidth;
    shown.fit(width);
    cursor.hidden = true;
    if (!shown.has(at)) at = [0, 0, 0];
    const { tiles, hidden } = shown.layout();
    const words = `The first ${tiles} of ${tiles + hidden}; the others are found by their place.`;
    say(more, hidden ? words : "");
  }).observe(element);

  return {
    element,
    address,
    /** painted: what is seen in the place of the values, which are told. */
    show(array, painted = array) {
      shown.show(array.values, painted.values);
      if (!cursor.hidden) tellPlace();
    },
    mark: shown.mark,
    repaint: shown.paint,
  };
}
