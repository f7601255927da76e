// The numbers of an array painted as tiles, and frames around some of them.

import { largest } from "./arrays.js";
import { painter } from "./colours.js";
import { h, magnification } from "./dom.js";
import { plan } from "./tiles.js";

const MOST_FRAMES = 64;

/** A box of CSS pixels: [["left", 3], ...]. */
function place(box, sides) {
  for (const [name, value] of sides) box.style.setProperty(name, `${value}px`);
}

/** The indices of a place in C order, where an image is called by it. */
function unravelled([place], sizes) {
  return sizes.map((size, axis) => {
    const below = sizes.slice(axis + 1).reduce((product, one) => product * one, 1);
    return Math.floor(place / below) % size;
  });
}

/**
 * The picture inside `field`, of arrays of these sizes.  scale: of colours.js.  goal: of tiles.js.
 *
 * It takes its room before there are numbers, so that nothing moves when they come.
 */
export function board(field, sizes, scale, goal) {
  const canvas = h("canvas", {});
  const frames = h("div", {});
  field.append(canvas, frames);
  field.setAttribute("aria-busy", "true");
  let layout = null;
  let values = null;
  let painted = null; // what the colours are made of
  let framed = [];

  function fit(width) {
    const unit = magnification();
    layout = plan(sizes, width / unit, goal);
    layout.zoom = Math.floor(layout.zoom * unit);
    const { rows, columns, across, down, zoom } = layout;
    [canvas.width, canvas.height] = [across * (columns + 1) - 1, down * (rows + 1) - 1];
    place(field, [
      ["width", canvas.width * zoom],
      ["height", canvas.height * zoom],
    ]);
    paint();
    mark(framed);
  }

  function paint() {
    if (!painted || !layout) return;
    const { rows, columns, tiles, across, flat } = layout;
    const image = new ImageData(canvas.width, canvas.height);
    const colour = painter(scale, largest(painted));
    for (let tile = 0; tile < tiles; tile += 1) {
      const top = Math.floor(tile / across) * (rows + 1);
      const left = (tile % across) * (columns + 1);
      for (let i = 0; i < rows; i += 1) {
        for (let j = 0; j < columns; j += 1) {
          const n = flat(tile, i, j);
          const offset = 4 * ((top + i) * canvas.width + left + j);
          if (n >= 0) colour(painted[n], image.data, offset);
        }
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** Put a box around cells of a tile. */
  function around(box, [tile, top, left], rows = 1, columns = 1) {
    const { across, zoom } = layout;
    place(box, [
      ["left", ((tile % across) * (layout.columns + 1) + left) * zoom],
      ["top", (Math.floor(tile / across) * (layout.rows + 1) + top) * zoom],
      ["width", columns * zoom],
      ["height", rows * zoom],
    ]);
  }

  /** Frames around the numbers at these indices, one for each tile. */
  function mark(indices) {
    framed = indices;
    if (!layout) return;
    const spans = new Map();
    for (const index of indices) {
      const [tile, i, j] = layout.place(
        index.length === sizes.length ? index : unravelled(index, sizes),
      );
      const [top, left, bottom, right] = spans.get(tile) ?? [i, j, i, j];
      const low = [Math.min(top, i), Math.min(left, j)];
      spans.set(tile, [...low, Math.max(bottom, i), Math.max(right, j)]);
    }
    const shown = [...spans].filter(([tile]) => tile < layout.tiles).slice(0, MOST_FRAMES);
    frames.replaceChildren(
      ...shown.map(([tile, [top, left, bottom, right]]) => {
        const frame = h("div", { class: "mark" });
        around(frame, [tile, top, left], bottom - top + 1, right - left + 1);
        return frame;
      }),
    );
  }

  /** [tile, row, column] of a number under the pointer, or null. */
  function under(event) {
    const { left, top } = field.getBoundingClientRect();
    const { rows, columns, across, zoom } = layout;
    const x = Math.floor((event.clientX - left) / zoom);
    const y = Math.floor((event.clientY - top) / zoom);
    const right = Math.floor(x / (columns + 1));
    if (x < 0 || y < 0 || right >= across) return null;
    const tile = Math.floor(y / (rows + 1)) * across + right;
    const row = Math.min(y % (rows + 1), rows - 1); // the line between tiles is the last one's
    const at = [tile, row, Math.min(x % (columns + 1), columns - 1)];
    return has(at) ? at : null;
  }

  function has([tile, i, j]) {
    const { tiles, rows, columns, flat } = layout;
    const inside = tile >= 0 && tile < tiles && i >= 0 && i < rows && j >= 0 && j < columns;
    return inside && flat(tile, i, j) >= 0;
  }

  return {
    fit,
    paint,
    mark,
    around,
    under,
    has,
    layout: () => layout,
    value: (at) => values[layout.flat(...at)],
    ready: () => values !== null && layout !== null,
    show(next, inColours) {
      field.removeAttribute("aria-busy");
      [values, painted] = [next, inColours];
      paint();
    },
  };
}
