// Images of the data, a strip at a time.

import { get } from "./api.js";
import { pixels } from "./arrays.js";
import { notice } from "./bar.js";
import { choose, name } from "./chosen.js";
import { button, byId, h, options } from "./dom.js";
import { count } from "./letters.js";
import { picture } from "./picture.js";
import { className, on, state } from "./store.js";

const COUNT = 12;
let start = 0;
let known = "";

export function gallery() {
  const part = byId("part");
  const only = byId("only");
  const again = () => {
    start = 0;
    load();
  };
  part.addEventListener("change", again);
  only.addEventListener("change", again);
  byId("before").addEventListener("click", () => move(-COUNT));
  byId("after").addEventListener("click", () => move(COUNT));
  on("state", () => {
    const key = JSON.stringify([state.data?.name, state.data?.parts, state.data?.classes]);
    byId("gallery-box").hidden = !state.data;
    if (!state.data || key === known) return;
    known = key;
    const parts = Object.entries(state.data.parts).filter(([, size]) => size);
    options(
      part,
      parts.map(([value, size]) => [value, `${value}, ${count(size)}`]),
      parts.some(([value]) => value === "test") ? "test" : parts[0]?.[0],
    );
    options(
      only,
      [["", "all classes"], ...state.model.classes.map((_, n) => [n, className(n)])],
      "",
    );
    load(!state.image);
  });
  on("image", showChosen);
}

function move(by) {
  start = Math.max(0, start + by);
  load();
}

async function load(chooseFirst = false) {
  const words = new URLSearchParams({ part: byId("part").value, start, count: COUNT });
  if (byId("only").value !== "") words.set("label", byId("only").value);
  let answer;
  try {
    answer = await get(`api/images?${words}`);
  } catch (error) {
    return notice(error.message, "bad");
  }
  byId("gallery").replaceChildren(
    ...answer.images.map((image) => {
      const shape = answer.shape;
      const words = name(image);
      const seen = picture(pixels(image.pixels, shape), words);
      const press = button(
        [seen, h("span", { class: "hidden" }, "Show this one")],
        () => choose({ ...image, shape }),
        { class: "pick", "data-ref": JSON.stringify(image.ref) },
      );
      return h("li", {}, press);
    }),
  );
  byId("before").setAttribute("aria-disabled", String(start === 0));
  byId("after").setAttribute("aria-disabled", String(start + COUNT >= answer.total));
  if (chooseFirst && answer.images.length) choose({ ...answer.images[0], shape: answer.shape });
  showChosen();
}

function showChosen() {
  const ref = state.image && JSON.stringify(state.image.ref);
  for (const press of byId("gallery").querySelectorAll("button"))
    press.setAttribute("aria-pressed", String(press.dataset.ref === ref));
}
