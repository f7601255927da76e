// The bar on top: what the run does, and the five things that one can tell it.

import { ApiError, post, start } from "./api.js";
import { byId, h, say } from "./dom.js";
import { count, number, percent, time } from "./letters.js";
import { beforeFrame, on, state } from "./store.js";

const LONG = 1_500; // ms until it is said that the server takes its time
const STATUS = {
  idle: "not started",
  running: "training",
  paused: "paused",
  ended: "ended",
  failed: "failed",
};
const GONE = {
  connecting: "Looking for the server …",
  gone: "The server does not answer. This page goes on by itself when it is back.",
  ended: "convlet live has ended. What is shown was its last word.",
  refused: "The server does not know this page. Open the address that convlet live printed.",
};
const LINK_ONLY =
  "A link holds settings, and no key to the server. Open the address that convlet live printed " +
  "in this tab, or put what stands behind # here at its end, after an &.";

/** What is said where there is no server. */
function gone() {
  const { connection } = state;
  return connection === "refused" && start.settings ? LINK_ONLY : GONE[connection];
}

export function bar() {
  for (const control of document.querySelectorAll("[data-do]")) {
    control.addEventListener("click", () => tellRun(control.dataset.do));
  }
  const draw = beforeFrame(show);
  on("state progress status epoch connection address", draw);
  on("epoch", ({ epoch, validation_accuracy: share }) =>
    announce(`Epoch ${epoch} ended${share === null ? "" : `, ${percent(share)} right`}.`),
  );
  on("status", () => announce(`Training: ${STATUS[state.run.status] ?? state.run.status}.`));
  on("connection", (now) => announce(now === "here" ? "The server is there." : gone()));
  show();
  const top = document.querySelector(".top"); // its height is what stays covered
  const cover = () => document.documentElement.style.setProperty("--bar", `${top.offsetHeight}px`);
  new ResizeObserver(cover).observe(top);
}

/** Said to a screen reader, once. */
export function announce(words) {
  say(byId("announcer"), words);
}

/** A line for everybody, under the bar, until the next one. */
export function notice(words, kind = "") {
  const line = byId("notice");
  line.className = kind;
  line.hidden = !words;
  say(line, words);
}

export async function tellRun(what) {
  const slow = setTimeout(() => notice("Waiting for the end of a long step …"), LONG);
  try {
    await post("api/train", { do: what });
    notice("");
  } catch (error) {
    notice(error instanceof ApiError ? error.message : GONE.gone, "bad");
  } finally {
    clearTimeout(slow);
  }
}

function show() {
  const { run, can, connection } = state;
  const here = connection === "here";
  say(
    byId("status"),
    here
      ? (STATUS[run.status] ?? run.status)
      : connection === "connecting"
        ? "connecting"
        : "no server",
  );
  byId("status").className = `pill ${here ? run.status : "gone"}`;
  byId("gone").hidden = here || connection === "connecting";
  say(byId("gone"), gone() ?? "");
  for (const control of document.querySelectorAll("[data-do]")) {
    const what = control.dataset.do;
    const possible = here && can.includes(what);
    control.setAttribute("aria-disabled", String(!possible));
    if (what === "stop") control.hidden = !possible;
    if (what === "start" || what === "pause")
      control.hidden = what === "pause" ? !can.includes("pause") : can.includes("pause");
  }
  say(byId("start-words"), run.status === "paused" ? "Go on" : "Start");
  byId("progress").value = run.steps ? run.step / run.steps : 0;
  byId("progress").setAttribute(
    "aria-valuetext",
    run.steps ? `step ${run.step} of ${run.steps}` : "not started",
  );
  const facts = [
    ["epoch", run.epochs ? `${count(run.epoch ?? 0)} of ${count(run.epochs)}` : "–"],
    ["step", run.steps ? `${count(run.step)} of ${count(run.steps)}` : "–"],
    ["loss", number(run.loss, 3)],
    ["images a second", count(run.images_per_second)],
    ["time left", time(run.status === "running" ? run.seconds_left : null)],
  ];
  const list = byId("facts");
  if (list.children.length !== facts.length) {
    list.replaceChildren(...facts.map(([name]) => h("div", {}, h("dt", {}, name), h("dd", {}))));
  }
  facts.forEach(([, value], n) => say(list.children[n].lastChild, value));
  if (run.status === "failed" && run.error) notice(run.error, "bad");
}
