// Images as they are seen: grey or in their colours, each pixel a square.

import { h } from "./dom.js";

/** Paint (rows, columns, channels) bytes: one channel grey, three in colours, else the mean. */
export function paint(canvas, { shape: [rows, columns, channels], values }) {
  [canvas.width, canvas.height] = [columns, rows];
  const image = new ImageData(columns, rows);
  for (let n = 0; n < rows * columns; n += 1) {
    let mean = 0;
    for (let c = 0; c < channels; c += 1) mean += values[n * channels + c] / channels;
    for (let c = 0; c < 3; c += 1)
      image.data[4 * n + c] = channels === 3 ? values[n * 3 + c] : mean;
    image.data[4 * n + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** A canvas that shows an image, named for those who do not see it. */
export function picture(array, words, kind = "thumb") {
  return paint(h("canvas", { role: "img", "aria-label": words, class: kind }), array);
}

/** Numbers between any two ends as bytes, the lowest black. */
export function asBytes({ shape, values }) {
  let [low, high] = [0, 1e-9];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return {
    shape,
    values: Uint8ClampedArray.from(values, (value) => (255 * (value - low)) / (high - low)),
  };
}
