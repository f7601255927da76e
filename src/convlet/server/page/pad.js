// A pad to draw on: mouse, pen, finger, or the arrow keys.

import { h } from "./dom.js";

const SIDE = 280; // pixels of the drawing
const SENT = 140; // rows and columns that are sent
const BRUSH = 22;
const KEY_STEP = 8;

/** Returns {clear, undo, ink(), empty()}; changed() is called while a line is drawn and after. */
export function pad(canvas, cursor, changed) {
  [canvas.width, canvas.height] = [SIDE, SIDE];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const strokes = []; // each [{x, y, width}, ...]
  let stroke = null;
  let keys = { x: SIDE / 2, y: SIDE / 2, down: false };

  function line(from, to) {
    context.strokeStyle = "#000";
    context.lineCap = "round";
    context.lineWidth = to.width;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + 0.01, to.y);
    context.stroke();
  }

  function redraw() {
    context.clearRect(0, 0, SIDE, SIDE);
    for (const points of strokes)
      points.forEach((point, n) => line(points[Math.max(0, n - 1)], point));
    changed();
  }

  function point(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const pressed = event.pointerType === "pen" && event.pressure ? 0.6 + 0.8 * event.pressure : 1;
    return {
      x: ((event.clientX - left) / width) * SIDE,
      y: ((event.clientY - top) / height) * SIDE,
      width: BRUSH * pressed,
    };
  }

  function extend(next) {
    line(stroke.at(-1) ?? next, next);
    stroke.push(next);
    changed();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || stroke) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    stroke = [];
    stroke.pointer = event.pointerId;
    strokes.push(stroke);
    extend(point(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (stroke?.pointer !== event.pointerId) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) extend(point(one));
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      if (stroke?.pointer !== event.pointerId) return;
      stroke = null;
      changed();
    });
  }

  function showCursor() {
    cursor.hidden = document.activeElement !== canvas || !canvas.matches(":focus-visible");
    cursor.classList.toggle("down", keys.down);
    cursor.style.setProperty("left", `${(100 * keys.x) / SIDE}%`);
    cursor.style.setProperty("top", `${(100 * keys.y) / SIDE}%`);
  }
  const arrows = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  canvas.addEventListener("keydown", (event) => {
    const arrow = arrows[event.key];
    if (event.key === " ") {
      keys.down = !keys.down;
      if (keys.down) strokes.push((stroke = []));
      if (keys.down) extend({ x: keys.x, y: keys.y, width: BRUSH });
      else stroke = null;
    } else if (arrow) {
      const inside = (value) => Math.min(Math.max(value, 0), SIDE);
      keys = {
        ...keys,
        x: inside(keys.x + KEY_STEP * arrow[0]),
        y: inside(keys.y + KEY_STEP * arrow[1]),
      };
      if (keys.down) extend({ x: keys.x, y: keys.y, width: BRUSH });
    } else if ((event.key === "z" && (event.ctrlKey || event.metaKey)) || event.key === "Backspace")
      undo();
    else if (event.key === "Delete") clear();
    else return;
    event.preventDefault();
    showCursor();
  });
  canvas.addEventListener("focus", showCursor);
  canvas.addEventListener("blur", () => {
    if (keys.down) [keys.down, stroke] = [false, null];
    showCursor();
  });

  function clear() {
    strokes.length = 0;
    [stroke, keys.down] = [null, false];
    redraw();
  }

  function undo() {
    strokes.pop();
    [stroke, keys.down] = [null, false];
    redraw();
  }

  /** The ink as bytes, 255 where it is whole: white on black, as MNIST. */
  function ink() {
    const small = h("canvas", { width: SENT, height: SENT });
    const there = small.getContext("2d");
    there.imageSmoothingQuality = "high";
    there.drawImage(canvas, 0, 0, SENT, SENT);
    const { data } = there.getImageData(0, 0, SENT, SENT);
    return { rows: SENT, columns: SENT, values: data.filter((_, n) => n % 4 === 3) };
  }

  return { clear, undo, ink, empty: () => strokes.length === 0 };
}
