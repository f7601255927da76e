// The curves of every run, and the epochs as a table.

import { newest } from "./api.js";
import { chart } from "./chart.js";
import { box, byId, h, table } from "./dom.js";
import { count, number, percent, time } from "./letters.js";
import { beforeFrame, current, on, state } from "./store.js";

const hidden = new Set();
const LAST = 200; // epochs in the table
const PROGRESS = 200; // ms between two pictures of a line that grows
const FAINT = 500; // points of a run that is over
const over = new WeakMap(); // its points -> those drawn

export function curves() {
  const loss = chart(byId("loss-chart"), { x: "epoch", log: true, margin: 0.05 });
  const accuracy = chart(byId("accuracy-chart"), {
    x: "epoch",
    margin: 0.005,
    text: (share) => `${Number((100 * share).toFixed(2))}\u00a0%`,
  });
  const draw = beforeFrame(() => {
    const shown = state.runs.filter(({ id }) => !hidden.has(id));
    loss([...shown.map(trained), ...shown.map(held("validation_loss"))], lossWords());
    accuracy(shown.map(held("validation_accuracy")), accuracyWords());
  });
  const list = beforeFrame(() => {
    legend(draw);
    rows();
  });
  on("state epoch", list);
  on("state epoch", draw);
  on("progress", newest(async () => draw(), PROGRESS));
  byId("epochs").parentElement.addEventListener("toggle", rows);
  list();
  draw();
}

/** A run keeps its colour when the oldest goes. */
function colour(id) {
  return (id - 1) % 6;
}

function trained({ id, points, current: now }) {
  if (now) return { points: smooth(points), colour: colour(id), kind: "line" };
  if (!over.has(points)) {
    const each = Math.ceil(points.length / FAINT);
    over.set(
      points,
      smooth(points).filter((_, n, all) => (all.length - 1 - n) % each === 0),
    );
  }
  return { points: over.get(points), colour: colour(id), kind: "faint" };
}

/** What a number of the epochs was, as dots. */
function held(name) {
  return ({ id, rows: ended }) => {
    const points = ended.map((row) => [row.epoch, row[name]]).filter(([, value]) => value !== null);
    return { points, colour: colour(id), kind: "dots" };
  };
}

/** The mean of the last steps, weighted: single steps jump too much to be read. */
function smooth(points) {
  let mean = 0;
  return points.map(([x, value], n) => {
    mean += (value - mean) * Math.max(0.2, 1 / (n + 1));
    return [x, mean];
  });
}

function lossWords() {
  const run = current();
  const last = run?.points.at(-1);
  if (!last) return "Loss of training by epoch: nothing yet";
  const held = run.rows.at(-1)?.validation_loss ?? null;
  const [epochs, value] = last;
  const words = `Loss of training by epoch: ${number(value, 3)} after ${number(epochs, 3)} epochs`;
  return held === null ? words : `${words}; on images held back ${number(held, 3)}`;
}

function accuracyWords() {
  const row = current()?.rows.at(-1);
  if (!row) return "Accuracy by epoch: nothing yet";
  return `Accuracy by epoch: ${percent(row.validation_accuracy)} after epoch ${row.epoch}`;
}

function legend(draw) {
  const list = byId("runs");
  const focused = list.contains(document.activeElement) && document.activeElement.id;
  list.replaceChildren(...state.runs.map((run) => entry(run, draw)));
  if (focused) byId(focused)?.focus();
}

function entry({ id, name, rows: ended, current: now }, draw) {
  const check = h("input", { type: "checkbox", id: `run-${id}`, checked: !hidden.has(id) });
  check.addEventListener("change", () => {
    if (check.checked) hidden.delete(id);
    else hidden.add(id);
    draw();
  });
  const swatch = h("span", { class: `swatch series-${colour(id)}`, "aria-hidden": "true" });
  const share = ended.at(-1)?.validation_accuracy ?? null;
  const words = share === null ? name : `${name}, ${percent(share)}`;
  return h("li", {}, h("label", {}, check, swatch, now ? `${words} (this one)` : words));
}

/** The newest epochs, while somebody looks at them. */
function rows() {
  if (!byId("epochs").parentElement.open) return;
  const ended = (current()?.rows ?? []).slice(-LAST);
  const body = ended.map((row) => [
    String(row.epoch),
    number(row.train_loss),
    number(row.validation_loss),
    percent(row.validation_accuracy),
    time(row.seconds),
  ]);
  const words = "Epochs of this run";
  const head = ["epoch", "loss, training", "loss, held back", "accuracy", "time"];
  const none = h("p", { class: "soft" }, "No epoch has ended yet.");
  if (!body.length) return byId("epochs").replaceChildren(none);
  const before = ended.at(-1).epoch - ended.length;
  const rest = `${count(before)} more epochs are in the history, under Take away.`;
  byId("epochs").replaceChildren(
    ...(before > 0 ? [h("p", { class: "soft" }, rest)] : []),
    box(words, table(words, head, body, 0)),
  );
}
