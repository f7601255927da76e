// The pictures of a section, all filled by one answer.

import { explain, register } from "./explain.js";
import { maps } from "./maps.js";

export function pictures() {
  let all = [];
  return {
    clear() {
      all = [];
    },
    /** The element of a picture of take(answer).  painted(array): what is seen in its place. */
    add(address, words, sizes, take, { painted, ...look } = {}) {
      const picture = maps({ address, words, sizes, pick: explain, ...look });
      register(picture);
      all.push({ picture, take, painted });
      return picture.element;
    },
    show(answer) {
      for (const { picture, take, painted } of all) {
        const array = take(answer);
        picture.show(array, painted?.(array));
      }
    },
  };
}
