// What augmentation makes of a few images, as training sees them.

import { newest, post } from "./api.js";
import { pixels } from "./arrays.js";
import { byId, h, say } from "./dom.js";
import { picture } from "./picture.js";
import { state } from "./store.js";

const COUNT = 6;
let epoch = 0;

let asked = { text: "none", seed: 0 };

/** Show it for settings that were checked. */
export function showAugmented({ augmentation, seed }) {
  if (augmentation === asked.text && seed === asked.seed) return;
  asked = { text: augmentation, seed };
  show();
}

const show = newest(async () => {
  const there = asked.text !== "none" && state.data;
  byId("augmented-box").hidden = !there;
  if (!there) return;
  const count = Math.min(COUNT, state.data.parts.train);
  const refs = Array.from({ length: count }, (_, index) => ({ part: "train", index }));
  try {
    const answer = await post("api/augmentation", {
      augmentation: asked.text,
      refs,
      seed: asked.seed,
      epoch,
    });
    const { images, shape } = answer;
    byId("augmented").replaceChildren(
      ...images.map((image, n) =>
        h("li", {}, picture(pixels(image.pixels, shape), `image ${n} of train, changed`)),
      ),
    );
    say(
      byId("augmented-words"),
      `The first ${images.length} training images in epoch ${epoch + 1}.`,
    );
  } catch (error) {
    say(byId("augmented-words"), error.message);
  }
}, 200);

export function augmented() {
  byId("augmented-again").addEventListener("click", () => {
    epoch += 1;
    show();
  });
}
