// The curves of every run, and the epochs as a table.

import { chart } from "./chart.js";
import { box, byId, h, table } from "./dom.js";
import { number, percent, time } from "./letters.js";
import { beforeFrame, current, on, state } from "./store.js";

const hidden = new Set();

export function curves() {
  const loss = chart(byId("loss-chart"), { x: "epoch", log: true });
  const accuracy = chart(byId("accuracy-chart"), {
    x: "epoch",
    least: [1, 0],
    text: (share) => percent(share, share > 0.995 || share < 0.9 ? 0 : 1),
  });
  const draw = beforeFrame(() => {
    const shown = state.runs.map((run, n) => ({ ...run, n })).filter((run) => !hidden.has(run.id));
    const lines = shown.flatMap((run) => [
      { points: smooth(run.points ?? []), colour: run.n, kind: run.current ? "line" : "faint" },
      {
        points: (run.rows ?? [])
          .filter((row) => row.validation_loss != null)
          .map((row) => [row.epoch, row.validation_loss]),
        colour: run.n,
        kind: "dots",
      },
    ]);
    loss(lines, lossWords());
    accuracy(
      shown.map((run) => ({
        points: (run.rows ?? [])
          .filter((row) => row.validation_accuracy != null)
          .map((row) => [row.epoch, row.validation_accuracy]),
        colour: run.n,
        kind: "dots",
      })),
      accuracyWords(),
    );
  });
  const list = () => {
    legend(draw);
    rows();
    draw();
  };
  on("state epoch", list);
  on("progress", draw);
  list();
}

/** The mean of the last steps, weighted: single steps jump too much to be read. */
function smooth(points) {
  if (points.length < 40) return points;
  let mean = null;
  return points.map(([x, value]) => {
    mean = mean === null || !Number.isFinite(value) ? value : 0.8 * mean + 0.2 * value;
    return [x, mean];
  });
}

function lossWords() {
  const run = current();
  const last = run?.points?.at(-1);
  const ended = run?.rows?.at(-1);
  return last
    ? `Loss of training by epoch: ${number(last[1], 3)} after ${number(last[0], 3)} epochs${ended?.validation_loss != null ? `; on images held back ${number(ended.validation_loss, 3)}` : ""}`
    : "Loss of training by epoch: nothing yet";
}

function accuracyWords() {
  const ended = current()?.rows?.at(-1);
  return ended?.validation_accuracy != null
    ? `Accuracy by epoch: ${percent(ended.validation_accuracy)} after epoch ${ended.epoch}`
    : "Accuracy by epoch: nothing yet";
}

function legend(draw) {
  const entries = state.runs.map((run, n) => {
    const check = h("input", {
      type: "checkbox",
      checked: !hidden.has(run.id),
      onchange: () => (check.checked ? hidden.delete(run.id) : hidden.add(run.id), draw()),
    });
    const best = run.rows?.at(-1);
    const said = [run.name, best?.validation_accuracy != null && percent(best.validation_accuracy)]
      .filter(Boolean)
      .join(", ");
    return h(
      "li",
      {},
      h(
        "label",
        {},
        check,
        h("span", { class: `swatch series-${n % 6}`, "aria-hidden": "true" }),
        `${said}${run.current ? " (this one)" : ""}`,
      ),
    );
  });
  byId("runs").replaceChildren(...entries);
}

function rows() {
  const run = current();
  const body = (run?.rows ?? []).map((row) => [
    String(row.epoch),
    number(row.train_loss),
    number(row.validation_loss),
    percent(row.validation_accuracy),
    time(row.seconds),
  ]);
  const words = "Epochs of this run";
  byId("epochs").replaceChildren(
    body.length
      ? box(
          words,
          table(words, ["epoch", "loss, training", "loss, held back", "accuracy", "time"], body, 0),
        )
      : h("p", { class: "soft" }, "No epoch has ended yet."),
  );
}
