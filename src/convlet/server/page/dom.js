// Elements, made without markup: text is text, whatever it holds.

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** An element of HTML: h("button", {type: "button", onclick: go}, "Go"). */
export function h(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

/** An element of SVG. */
export function s(name, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), properties, children);
}

export function byId(id) {
  return document.getElementById(id);
}

/** A button that does something. */
export function button(words, onclick, properties = {}) {
  return h("button", { type: "button", onclick, ...properties }, words);
}

/** A table whose first column names the rows; columns from `numbers` on are set to the right. */
export function table(caption, head, rows, numbers = 1) {
  const kind = (column) => (column >= numbers ? "number" : undefined);
  return h(
    "table",
    {},
    h("caption", { class: "hidden" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((cell, j) => h("th", { scope: "col", class: kind(j) }, cell)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map(([first, ...rest]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, first),
          rest.map((cell, j) => h("td", { class: kind(j + 1) }, cell)),
        ),
      ),
    ),
  );
}

/** What may be wider than the page: it scrolls by itself, with the keyboard too. */
export function box(name, ...inside) {
  return h("div", { class: "box", role: "region", "aria-label": name, tabindex: 0 }, ...inside);
}

/** How much larger the letters are than on a small window: pictures grow with them. */
export function magnification() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
}

/** Change text only where it differs: what is read aloud is not read again. */
export function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** A label and what it names, one below the other. */
export function field(words, control, hint) {
  control.id ||= `field-${(field.count = (field.count ?? 0) + 1)}`;
  const note = hint ? h("small", { class: "soft", id: `${control.id}-hint` }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, words), control, note);
}

export function options(select, entries, chosen) {
  select.replaceChildren(
    ...entries.map(([value, words]) =>
      h("option", { value, selected: String(value) === String(chosen) }, words),
    ),
  );
  return select;
}
