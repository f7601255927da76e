// Asks for the activations and the errors of the chosen image, as often as they are looked at.

import { newest, post } from "./api.js";
import { notice } from "./bar.js";
import { floats } from "./arrays.js";
import { byId } from "./dom.js";
import { on, running, state, tell } from "./store.js";

const WHILE_TRAINING = 400; // ms between two requests
const seen = { forward: false, backward: false };
/** Names of the weights that the page has open. */
export const wanted = new Set();

/** An answer may come after another image was chosen: then it is of no use. */
function still(image) {
  return state.image?.ref === image.ref;
}

const forward = newest(async () => {
  const image = state.image;
  if (!image || !seen.forward) return;
  const answer = await answered("api/forward", { ref: image.ref, label: state.label });
  if (!answer || !still(image)) return;
  const stages = unfolded(answer, ({ z, outputs }) => [z, ...outputs]).map(
    ({ x, own: [z, ...outputs] }) => ({ x, z, outputs }),
  );
  state.forward = { ...answer, stages };
  tell("forward", state.forward);
}, WHILE_TRAINING);

const backward = newest(async () => {
  const image = state.image;
  if (!image || !seen.backward || state.label === null) return;
  const given = { ref: image.ref, label: state.label, weights: [...wanted] };
  const answer = await answered("api/backward", given);
  if (!answer || !still(image)) return;
  const stages = unfolded(answer, ({ delta, outputs }) => [delta, ...outputs]).map(
    ({ x, own: [delta, ...outputs] }) => ({ x, delta, outputs }),
  );
  state.backward = { ...answer, stages };
  tell("backward", state.backward);
}, WHILE_TRAINING);

/** {x, own} of each stage; its x, or the error of it, is the last array of the stage before. */
function unfolded({ x, stages }, arraysOf) {
  let below = floats(x);
  return stages.map((stage) => {
    const found = { x: below, own: arraysOf(stage).map(floats) };
    below = found.own.at(-1);
    return found;
  });
}

/** The answer, or null where there is none: the bar says that the server is gone. */
async function answered(path, given) {
  try {
    return await post(path, given);
  } catch (error) {
    if (error.parameter === "ref") notice("This image is no longer there; choose another.", "bad");
    else if (error.status !== undefined && error.status !== 401) notice(error.message, "bad");
    return null;
  }
}

export function refresh() {
  if (document.visibilityState !== "visible") return;
  forward();
  backward();
}

export function flow() {
  const eye = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries)
        seen[target.id === "look" ? "forward" : "backward"] = isIntersecting;
      refresh();
    },
    { rootMargin: "200px" },
  );
  eye.observe(byId("look"));
  eye.observe(byId("back"));
  on("image label state status", refresh);
  on("progress", () => running() && refresh());
  document.addEventListener("visibilitychange", refresh);
}
