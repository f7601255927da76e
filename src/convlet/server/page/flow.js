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
  const stages = answer.stages.map(({ x, z, outputs }) => ({
    x: floats(x),
    z: floats(z),
    outputs: outputs.map(floats),
  }));
  state.forward = { ...answer, stages };
  tell("forward", state.forward);
}, WHILE_TRAINING);

const backward = newest(async () => {
  const image = state.image;
  if (!image || !seen.backward || state.label === null) return;
  const given = { ref: image.ref, label: state.label, weights: [...wanted] };
  const answer = await answered("api/backward", given);
  if (!answer || !still(image)) return;
  const stages = answer.stages.map(({ delta, outputs, x }) => ({
    delta: floats(delta),
    outputs: outputs.map(floats),
    x: floats(x),
  }));
  state.backward = { ...answer, stages };
  tell("backward", state.backward);
}, WHILE_TRAINING);

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
