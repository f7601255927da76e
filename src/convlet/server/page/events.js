// The stream of the server: one JSON a line, for as long as the page is open.

import { ApiError, ask, takeAddress } from "./api.js";
import { current, state, tell } from "./store.js";

const SILENCE = 25_000; // ms: the server says that it is there every 10 s
const LONGEST = 8_000; // ms between two tries
const POINTS = 2_000; // of a curve, as records.py has it
const LAST_ROWS = 200; // of which none is left out

let ended = false; // the server said so
let wake = () => {};
let breakOff = () => {};

export async function listen() {
  let pause = 500;
  for (;;) {
    try {
      await follow(() => (pause = 500));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return connection("refused");
    }
    connection(ended ? "ended" : "gone");
    await new Promise((done) => {
      wake = done;
      setTimeout(done, pause);
    });
    pause = Math.min(2 * pause, LONGEST);
  }
}

async function follow(here) {
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), SILENCE);
  breakOff = () => stop.abort();
  try {
    const answer = await ask("api/events", { signal: stop.signal });
    ended = false;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), SILENCE);
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) apply(JSON.parse(line));
      here();
      if (!ended) connection("here");
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function connection(now) {
  if (state.connection === now) return;
  state.connection = now;
  tell("connection", now);
}

const APPLY = {
  state(event) {
    const { type, ...snapshot } = event;
    Object.assign(state, snapshot);
  },
  progress({ type, ...run }) {
    Object.assign(state.run, run);
    const own = current();
    if (!run.point || !own || own.id !== run.run) return;
    own.points.push(run.point);
    if (own.points.length > POINTS) own.points = halved(own.points);
  },
  epoch({ type, run, ...row }) {
    const own = state.runs.find(({ id }) => id === run);
    if (!own || own.rows.at(-1)?.epoch >= row.epoch) return;
    own.rows.push(row);
    if (own.rows.length <= 2 * POINTS) return;
    const before = own.rows.slice(0, -LAST_ROWS).filter((_, n) => n % 2 === 1);
    own.rows = [...before, ...own.rows.slice(-LAST_ROWS)];
  },
  status({ type, can, ...run }) {
    Object.assign(state.run, run);
    state.can = can;
  },
  closed() {
    ended = true;
  },
  health({ type, ...health }) {
    state.health = health;
  },
  evaluation({ type, ...evaluation }) {
    state.evaluation = evaluation;
  },
};

/** Each two neighbours as their mean, at the later place; records.py does the same. */
export function halved(points) {
  return points.flatMap(([x, loss], n) => {
    if (n % 2 === 1) return [[x, (points[n - 1][1] + loss) / 2]];
    return n === points.length - 1 ? [[x, loss]] : [];
  });
}

function apply(event) {
  APPLY[event.type]?.(event);
  tell(event.type, event);
}

addEventListener("hashchange", () => {
  takeAddress(); // a link that is pasted into an open page loads nothing
  if (state.connection === "refused") listen();
  tell("address");
});
addEventListener("online", () => wake());
addEventListener("offline", () => breakOff()); // a server on this machine is back at once
document.addEventListener(
  "visibilitychange",
  () => document.visibilityState === "visible" && wake(),
);
