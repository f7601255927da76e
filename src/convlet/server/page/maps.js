// An array as a picture on which a number can be chosen, with a pointer or with the arrow keys.

import { painter } from "./colours.js";
import { largest } from "./arrays.js";
import { h, say } from "./dom.js";
import { exact, letterOf, maths } from "./letters.js";
import { plan } from "./tiles.js";

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * A picture of an array.  address: "z/0", to which the place is added; words: what it is; pick(address) is called
 * for a chosen number; scale: "signed", "heat" or "grey".  Returns {element, show(array, most), mark(places)}.
 */
export function maps({ address, words, pick, scale = "signed", goal, scrolls = false }) {
  const canvas = h("canvas", {});
  const cursor = h("div", { class: "cursor", hidden: true });
  const marks = h("div", { class: "marks" });
  const hint = pick
    ? "Arrow keys move, Page Up and Page Down change the map, Enter shows how the number is made."
    : "Arrow keys move.";
  const field = h(
    "div",
    { class: "maps", role: "application", tabindex: 0, "aria-label": `${words}. ${hint}` },
    canvas,
    marks,
    cursor,
  );
  const readout = h("output", { class: "readout", "aria-live": "polite" });
  const more = h("small", { class: "soft" });
  const element = h(
    "div",
    { class: "picture" },
    scrolls ? h("div", { class: "maps-box" }, field) : field,
    readout,
    more,
  );
  let array = null;
  let most = null;
  let layout = null;
  let at = [0, 0, 0];
  let marked = [];

  const room = () => element.clientWidth || 320;

  function paint() {
    const { rows, columns, tiles, across, down, zoom, flat } = layout;
    const [width, height] = [across * (columns + 1) - 1, down * (rows + 1) - 1];
    if (canvas.width !== width || canvas.height !== height)
      [canvas.width, canvas.height] = [width, height];
    field.style.setProperty("width", `${width * zoom}px`);
    field.style.setProperty("height", `${height * zoom}px`);
    const image = new ImageData(width, height);
    const colour = painter(scale, most ?? largest(array.values));
    for (let tile = 0; tile < tiles; tile += 1) {
      const [top, left] = [Math.floor(tile / across) * (rows + 1), (tile % across) * (columns + 1)];
      for (let i = 0; i < rows; i += 1) {
        for (let j = 0; j < columns; j += 1) {
          const n = flat(tile, i, j);
          if (n >= 0) colour(array.values[n], image.data, 4 * ((top + i) * width + left + j));
        }
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function rectangle(box, tile, top, left, rows = 1, columns = 1) {
    const { across, zoom } = layout;
    const y = (Math.floor(tile / across) * (layout.rows + 1) + top) * zoom;
    const x = ((tile % across) * (layout.columns + 1) + left) * zoom;
    for (const [name, value] of [
      ["left", x],
      ["top", y],
      ["width", columns * zoom],
      ["height", rows * zoom],
    ])
      box.style.setProperty(name, `${value}px`);
  }

  function here() {
    return `${address}/${layout.index(...at).join(",")}`;
  }

  function tellPlace() {
    cursor.hidden = false;
    rectangle(cursor, ...at);
    const value = array.values[layout.flat(...at)];
    readout.replaceChildren(...maths(letterOf(here())), ` = ${exact(value)}`);
  }

  function under(event) {
    const { left, top } = field.getBoundingClientRect();
    const { rows, columns, across, tiles, zoom, flat } = layout;
    const [x, y] = [
      Math.floor((event.clientX - left) / zoom),
      Math.floor((event.clientY - top) / zoom),
    ];
    const [down, right] = [Math.floor(y / (rows + 1)), Math.floor(x / (columns + 1))];
    const found = [
      down * across + right,
      Math.min(y % (rows + 1), rows - 1),
      Math.min(x % (columns + 1), columns - 1),
    ];
    return x >= 0 && y >= 0 && right < across && found[0] < tiles && flat(...found) >= 0
      ? found
      : null;
  }

  field.addEventListener("pointermove", (event) => {
    const found = event.pointerType === "mouse" && array && under(event);
    if (found) {
      at = found;
      tellPlace();
    }
  });
  field.addEventListener("click", (event) => {
    const found = array && under(event);
    if (!found) return;
    at = found;
    tellPlace();
    pick?.(here(), field);
  });
  field.addEventListener("keydown", (event) => {
    if (!array || event.altKey || event.ctrlKey || event.metaKey) return;
    const arrow = ARROWS[event.key];
    const turn = { PageUp: -1, PageDown: 1 }[event.key];
    let next = null;
    if (arrow) next = [at[0], at[1] + arrow[0], at[2] + arrow[1]];
    else if (turn && layout.tiles > 1)
      next = [(at[0] + turn + layout.tiles) % layout.tiles, at[1], at[2]];
    else if (event.key === "Enter" || event.key === " ") pick?.(here(), field);
    else return;
    event.preventDefault();
    if (
      next &&
      next[1] >= 0 &&
      next[2] >= 0 &&
      next[1] < layout.rows &&
      next[2] < layout.columns &&
      layout.flat(...next) >= 0
    ) {
      at = next;
      tellPlace();
    }
  });
  field.addEventListener("focus", () => array && tellPlace());
  field.addEventListener(
    "pointerleave",
    () => document.activeElement !== field && (cursor.hidden = true),
  );
  field.addEventListener("blur", () => (cursor.hidden = true));

  function replan() {
    if (!array) return;
    layout = plan(array.shape, room(), goal);
    if (
      layout.flat(...at) === -1 ||
      at[0] >= layout.tiles ||
      at[1] >= layout.rows ||
      at[2] >= layout.columns
    )
      at = [0, 0, 0];
    cursor.hidden = true;
    say(
      more,
      layout.hidden
        ? `The first ${layout.tiles} of ${layout.tiles + layout.hidden}; the number panel finds the others by their place.`
        : "",
    );
    paint();
    mark(marked);
  }

  /** Frames around the numbers at these indices, one for each tile. */
  function mark(indices) {
    marked = indices;
    const spans = new Map();
    for (const index of indices) {
      const [tile, i, j] = layout.place(index);
      const span = spans.get(tile);
      if (!span) spans.set(tile, [i, j, i, j]);
      else
        spans.set(tile, [
          Math.min(span[0], i),
          Math.min(span[1], j),
          Math.max(span[2], i),
          Math.max(span[3], j),
        ]);
    }
    const frames = [...spans].slice(0, 64).filter(([tile]) => tile < layout.tiles);
    marks.replaceChildren(
      ...frames.map(([tile, [top, left, bottom, right]]) => {
        const frame = h("div", { class: "mark" });
        rectangle(frame, tile, top, left, bottom - top + 1, right - left + 1);
        return frame;
      }),
    );
  }

  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(room() - width) < 2) return;
    width = room();
    replan();
  }).observe(element);

  return {
    element,
    field,
    address,
    show(next, nextMost = null) {
      const same = array && array.shape.join() === next.shape.join();
      [array, most] = [next, nextMost];
      if (!same || !layout) return replan();
      paint();
      if (!cursor.hidden) tellPlace();
    },
    mark: (indices) => array && layout && mark(indices),
    repaint: () => array && layout && paint(),
  };
}
