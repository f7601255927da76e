// Numbers and letters as the derivation writes them.

import { h } from "./dom.js";
import { state } from "./store.js";

const MINUS = "\u2212";

/** A number with `digits` significant ones, 0.4412 or 3.1e-7. */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞").replace("-", MINUS);
  if (value === 0) return "0";
  const size = Math.abs(value);
  const words =
    size >= 1e-4 && size < 1e6
      ? String(Number(value.toPrecision(digits)))
      : value.toExponential(digits - 1);
  return words.replace("-", MINUS).replace("e-", `e${MINUS}`).replace("e+", "e");
}

/** Every digit that a float32 has: the shortest text that gives the same float32 again. */
export function exact(value) {
  if (!Number.isFinite(value)) return number(value);
  for (let digits = 6; digits < 9; digits += 1) {
    if (Math.fround(Number(value.toPrecision(digits))) === Math.fround(value))
      return number(value, digits);
  }
  return number(value, 9);
}

export function percent(share, digits = 2) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)}\u00a0%`;
}

export function count(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-GB");
}

/** Seconds as 42 s, 3 min 20 s or 2 h 5 min. */
export function time(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}\u00a0s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}\u00a0min ${Math.round(seconds % 60)}\u00a0s`;
  return `${Math.floor(minutes / 60)}\u00a0h ${minutes % 60}\u00a0min`;
}

export function shape(sizes) {
  return sizes.join(" × ");
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const RAISED_DIGITS = /[⁰¹²³⁴-⁹]+/gu;
const SCRIPTS = /\^(?:\{([^}]*)\}|(\S))|(?:_\{([^}]*)\}|_(\S)|\[([^\]]*)\])|[^\^_[]+/gu;

/** "z^0_{3,4,2}" or "z⁰[3, 4, 2]" as nodes: ^ and raised digits raise, _ and brackets lower. */
export function maths(text) {
  const raise = (digits) => `^{${[...digits].map((digit) => RAISED.indexOf(digit)).join("")}}`;
  const plain = text.replaceAll("-", MINUS).replace(RAISED_DIGITS, raise);
  return [...plain.matchAll(SCRIPTS)].map(([all, ...found]) => {
    if (!"^_[".includes(all[0])) return all;
    const inside = found.find((one) => one !== undefined);
    return h(all[0] === "^" ? "sup" : "sub", {}, inside);
  });
}

const KINDS = { delta: "δ", dx: "∂E/∂x", dw: "∂E/∂w", db: "∂E/∂b" };

/**
 * The letter of an address: "z/0/3,4,2" -> "z^0_{3,4,2}", "out/0/0/3,4,2" -> "a^{0,0}_{3,4,2}", but
 * x^{l+1} for what the last layer of a stage gives.
 *
 * derivative: an address of a parameter means how the cost changes with it.
 */
export function letterOf(address, derivative = false) {
  const [kind, stage, ...rest] = address.split("/");
  if (kind === "cost") return "E";
  const place = rest.length ? `_{${rest.at(-1)}}` : "";
  if (rest.length > 1) {
    const [layer] = rest;
    const last = Number(layer) === state.model?.stages[stage]?.layers.length - 1;
    const name = last ? `x^${Number(stage) + 1}` : `a^{${stage},${layer}}`;
    return `${kind === "error" ? "∂E/∂" : ""}${name}${place}`;
  }
  if (kind === "error") return `δ^${stage}${place}`;
  const name = derivative && "wb".includes(kind) ? `d${kind}` : kind;
  return `${KINDS[name] ?? kind}^${stage}${place}`;
}
