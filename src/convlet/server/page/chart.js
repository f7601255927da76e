// A chart of lines in SVG.  Its colours are the style sheet's, light and dark.

import { magnification, s } from "./dom.js";
import { number } from "./letters.js";

const LEFT = 54;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 34;
const MOST_DOTS = 200; // more of them are a line

/** Three to seven round numbers from low to high. */
function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const values = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n += 1)
    values.push(n * step);
  return values;
}

/** [least, greatest] of the points, or null where there are none. */
function range(lines, axis) {
  const values = lines.flatMap(({ points }) => points.map((point) => point[axis]));
  const finite = values.filter(Number.isFinite);
  if (!finite.length) return null;
  return finite.reduce(
    ([low, high], one) => [Math.min(low, one), Math.max(high, one)],
    [Infinity, -Infinity],
  );
}

/**
 * A chart inside `frame`, which gives the width; returns draw(lines, words).
 *
 * lines: [{points: [[x, y], ...], colour: 0-5, kind: "line", "faint" or "dots"}]; words: of it.
 * x: the name of the axis; log: powers of ten upwards, else shares; margin: below the least number
 * and above the greatest; text: of a number at the y axis.
 */
export function chart(frame, { x, height = 220, log = false, margin, text = number }) {
  const svg = s("svg", { role: "img", class: "chart" });
  frame.append(svg);
  let drawn = null;
  const up = (value) => (log && value !== null ? Math.log10(Math.max(value, 1e-6)) : value);

  function draw(lines, words) {
    drawn = [lines, words];
    const unit = magnification();
    const width = Math.max(frame.clientWidth / unit, 200);
    const raised = lines.map((line) => ({
      ...line,
      points: line.points.map((point) => [point[0], up(point[1])]),
    }));
    const [first, last] = range(raised, 0) ?? [0, 1];
    const [left, right] = [Math.min(first, 0), Math.max(last, 1)];
    const [least, greatest] = range(raised, 1) ?? (log ? [-2, 0] : [0, 1]);
    const low = log ? least - margin : Math.max(least - margin, 0);
    const high = log ? greatest + margin : Math.min(greatest + margin, 1);
    const place = ([px, py]) => [
      LEFT + ((px - left) / (right - left)) * (width - LEFT - RIGHT),
      TOP + ((high - py) / (high - low)) * (height - TOP - BOTTOM),
    ];
    const marks = [];
    const rows = log ? logTicks(low, high) : ticks(low, high).map((value) => [value, text(value)]);
    for (const [value, label] of rows) {
      const [, py] = place([left, value]);
      marks.push(s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: py, y2: py }));
      marks.push(s("text", { class: "tick", x: LEFT - 6, y: py + 4, "text-anchor": "end" }, label));
    }
    for (const value of ticks(left, right)) {
      const [px] = place([value, low]);
      marks.push(
        s(
          "text",
          { class: "tick", x: px, y: height - BOTTOM + 16, "text-anchor": "middle" },
          number(value),
        ),
      );
    }
    marks.push(
      s("line", {
        class: "axis",
        x1: LEFT,
        x2: width - RIGHT,
        y1: height - BOTTOM,
        y2: height - BOTTOM,
      }),
    );
    marks.push(
      s("text", { class: "name", x: width - RIGHT, y: height - 3, "text-anchor": "end" }, x),
    );
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("width", width * unit);
    svg.setAttribute("height", height * unit);
    svg.setAttribute("aria-label", words);
    svg.replaceChildren(...marks, ...raised.flatMap((line) => shapes(line, place)));
  }

  new ResizeObserver(() => drawn && draw(...drawn)).observe(frame);
  return draw;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
    for (const factor of high - low > 1.5 ? [1] : [1, 2, 5]) {
      const value = power + Math.log10(factor);
      if (value >= low - 1e-9 && value <= high + 1e-9)
        found.push([value, number(factor * 10 ** power, 1)]);
    }
  }
  return found;
}

function shapes({ points, colour, kind }, place) {
  const places = points.filter(([px, py]) => Number.isFinite(px) && Number.isFinite(py)).map(place);
  const named = `series-${colour % 6}`;
  if (kind === "dots") {
    const line = s("polyline", {
      class: `${named} dotted`,
      points: places.map((p) => p.join(",")).join(" "),
    });
    if (places.length > MOST_DOTS) return [line];
    return [
      line,
      ...places.map(([cx, cy]) => s("circle", { class: `${named} dot`, cx, cy, r: 3.5 })),
    ];
  }
  return [
    s("polyline", {
      class: `${named} ${kind}`,
      points: places.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" "),
    }),
  ];
}
