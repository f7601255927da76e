// Arrays as they come from the server, base64 of little-endian float32 or of bytes.

function bytes(text) {
  const raw = atob(text);
  const values = new Uint8Array(raw.length);
  for (let n = 0; n < raw.length; n += 1) values[n] = raw.charCodeAt(n);
  return values;
}

/** {shape, data} -> {shape, values: Float32Array}. */
export function floats({ shape, data }) {
  const buffer = bytes(data).buffer;
  const view = new DataView(buffer);
  const values = new Float32Array(buffer.byteLength / 4);
  for (let n = 0; n < values.length; n += 1) values[n] = view.getFloat32(4 * n, true);
  return { shape, values };
}

/** Pixels (rows, columns, channels) of an image, 0 to 255. */
export function pixels(text, shape) {
  return { shape, values: bytes(text) };
}

export function toBase64(values) {
  let raw = "";
  for (const value of values) raw += String.fromCharCode(value);
  return btoa(raw);
}

export function largest(values) {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

/** The place of the greatest of some numbers. */
export function greatest(values) {
  let place = 0;
  for (let n = 1; n < values.length; n += 1) if (values[n] > values[place]) place = n;
  return place;
}

/**
 * The greatest absolute value over the channels, as `plots.saliency`.  (H, W, R) -> (H, W, 1);
 * channels: where it stands, of each pixel.
 */
export function overChannels({ shape: [rows, columns, count], values }) {
  const most = new Float32Array(rows * columns);
  const channels = new Uint32Array(rows * columns);
  for (let n = 0; n < values.length; n += 1) {
    const pixel = Math.floor(n / count);
    if (Math.abs(values[n]) <= most[pixel]) continue;
    most[pixel] = Math.abs(values[n]);
    channels[pixel] = n % count;
  }
  return { shape: [rows, columns, 1], values: most, channels };
}
