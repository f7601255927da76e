// What the page knows, and who wants to hear of it.

export const state = {
  connection: "connecting", // "here", "gone", "ended", "refused"
  settings: null,
  choices: {},
  model: null,
  data: null,
  run: { status: "idle" },
  runs: [],
  can: [],
  own: [],
  health: null,
  evaluation: null,
  image: null, // {ref, label, array: {shape, values}}
  label: null, // the class that the errors are asked for
  forward: null,
  backward: null,
};

const listeners = new Map();

/** Call `hear` when one of the topics, separated by spaces, is told. */
export function on(topics, hear) {
  for (const topic of topics.split(" ")) {
    if (!listeners.has(topic)) listeners.set(topic, []);
    listeners.get(topic).push(hear);
  }
}

export function tell(topic, value) {
  for (const hear of listeners.get(topic) ?? []) hear(value);
}

/** A function that runs once before the next picture on the screen, however often it is called. */
export function beforeFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

export function current() {
  return state.runs.find((run) => run.current) ?? null;
}

export function running() {
  return state.run.status === "running";
}

export function className(number) {
  return state.model?.classes[number] ?? String(number);
}

export function classCount() {
  return state.model?.classes.length ?? 0;
}
