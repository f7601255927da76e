// Numbers as colours, as in convlet.plots: purple below 0, orange above; dark to bright; grey.

const SIGNED = {
  light: [
    [84, 39, 136],
    [153, 142, 195],
    [247, 247, 247],
    [241, 163, 64],
    [179, 88, 6],
  ],
  dark: [
    [178, 153, 240],
    [104, 82, 160],
    [24, 29, 34],
    [176, 92, 20],
    [255, 178, 84],
  ],
};
const HEAT = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 73, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [110, 206, 88],
  [181, 222, 43],
  [253, 231, 37],
];

const night = matchMedia("(prefers-color-scheme: dark)");

/** 256 colours between the stops, three bytes each. */
function ramp(stops) {
  const colours = new Uint8ClampedArray(3 * 256);
  for (let n = 0; n < 256; n += 1) {
    const place = (n / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c += 1)
      colours[3 * n + c] = stops[low][c] + (place - low) * (stops[low + 1][c] - stops[low][c]);
  }
  return colours;
}

const RAMPS = {
  light: ramp(SIGNED.light),
  dark: ramp(SIGNED.dark),
  heat: ramp(HEAT),
  grey: ramp([
    [0, 0, 0],
    [255, 255, 255],
  ]),
};

/** A function (value, bytes, offset) that writes the colour.  scale: "signed", "heat" or "grey". */
export function painter(scale, most) {
  const ramp = scale === "signed" ? RAMPS[night.matches ? "dark" : "light"] : RAMPS[scale];
  const top = most || 1;
  return (value, bytes, offset) => {
    const share = scale === "signed" ? 0.5 + value / (2 * top) : value / top;
    const n = 3 * Math.min(Math.max(Math.round(255 * share), 0), 255);
    bytes[offset] = ramp[n];
    bytes[offset + 1] = ramp[n + 1];
    bytes[offset + 2] = ramp[n + 2];
    bytes[offset + 3] = 255;
  };
}

/** [background, ink] of a cell with that number in it, as CSS. */
export function cell(value, most) {
  const bytes = [0, 0, 0, 0];
  painter("signed", most)(value, bytes, 0);
  const [r, g, b] = bytes;
  const linear = (part) =>
    part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return [`rgb(${r} ${g} ${b})`, light > 0.179 ? "#000" : "#fff"];
}

/** Call `again` when the window turns light or dark. */
export function onScheme(again) {
  night.addEventListener("change", again);
}
