// Probabilities of the classes as bars.

import { h, say } from "./dom.js";
import { percent } from "./letters.js";
import { className } from "./store.js";

const MOST = 20;

/** Returns show(probabilities, label).  pick(k), if given, is called for a bar that is pressed. */
export function bars(list, pick) {
  let rows = [];
  let order = [];

  function build(length) {
    rows = Array.from({ length }, (_, n) => {
      const name = h("span", { class: "bar-name" });
      const fill = h("span", { class: "bar-fill", "aria-hidden": "true" });
      const value = h("span", { class: "bar-value" });
      const inside = [name, h("span", { class: "bar-track", "aria-hidden": "true" }, fill), value];
      const item = pick
        ? h(
            "button",
            {
              type: "button",
              class: "bar",
              onclick: (event) => pick(order[n], event.currentTarget),
            },
            inside,
          )
        : h("div", { class: "bar" }, inside);
      return { item, name, fill, value, row: h("li", {}, item) };
    });
    list.replaceChildren(...rows.map(({ row }) => row));
  }

  return (probabilities, label = null) => {
    order = probabilities.map((_, k) => k);
    if (order.length > MOST)
      order = order.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, MOST);
    if (rows.length !== order.length) build(order.length);
    const best = probabilities.indexOf(Math.max(...probabilities));
    order.forEach((k, n) => {
      const { item, name, fill, value } = rows[n];
      say(name, className(k));
      say(value, percent(probabilities[k], 1));
      fill.style.setProperty("width", `${100 * probabilities[k]}%`);
      item.classList.toggle("best", k === best && probabilities[k] > 0);
      item.classList.toggle("wrong", k === best && label !== null && label !== best);
    });
  };
}
