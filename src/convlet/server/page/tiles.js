// How the numbers of an array stand on a picture: tiles with one cell between them.

const MOST = 512; // tiles on one picture; the others are reached by their place
const LARGEST = 28; // pixels of a cell

/**
 * The plan of a picture.  sizes: of the array; width: pixels there are; goal: pixels of a tile.
 *
 * {rows, columns} of a tile, {tiles, across, down, hidden} count them, zoom is the side of a cell.
 * A number stands at (tile, i, j): flat(tile, i, j) is its place in C order or -1, index(tile, i,
 * j) its indices in the array, and place(indices) leads back to [tile, i, j].
 */
export function plan(sizes, width, goal = 80) {
  const made = [vector, matrix, maps, kernels][sizes.length - 1](sizes, width);
  const room = Math.max(width, 120);
  const four = Math.floor(room / Math.min(made.tiles, 4) / (made.columns + 1)); // beside each other
  const wished = Math.round(goal / Math.max(made.rows, made.columns));
  made.zoom ??= Math.max(1, Math.min(wished, four, LARGEST));
  made.hidden = Math.max(0, made.tiles - MOST);
  made.tiles = Math.min(made.tiles, MOST);
  const fit = Math.max(1, Math.floor((room + made.zoom) / ((made.columns + 1) * made.zoom)));
  made.down = Math.ceil(made.tiles / fit);
  made.across = Math.ceil(made.tiles / made.down); // rows of one length
  return made;
}

function maps([rows, columns, channels]) {
  return {
    rows,
    columns,
    tiles: channels,
    flat: (k, i, j) => (i * columns + j) * channels + k,
    index: (k, i, j) => [i, j, k],
    place: ([i, j, k]) => [k, i, j],
  };
}

function kernels([rows, columns, inputs, outputs]) {
  const split = (tile) => [tile % inputs, Math.floor(tile / inputs)];
  return {
    rows,
    columns,
    tiles: inputs * outputs,
    zoom: Math.max(2, Math.min(10, Math.round(50 / Math.max(rows, columns)))),
    flat(tile, p, q) {
      const [r, k] = split(tile);
      return ((p * columns + q) * inputs + r) * outputs + k;
    },
    index(tile, p, q) {
      const [r, k] = split(tile);
      return [p, q, r, k];
    },
    place: ([p, q, r, k]) => [k * inputs + r, p, q],
  };
}

/** The longer side lies. */
function matrix([inputs, outputs], width) {
  const turned = inputs > outputs;
  const [rows, columns] = turned ? [outputs, inputs] : [inputs, outputs];
  const index = (tile, i, j) => (turned ? [j, i] : [i, j]);
  return {
    rows,
    columns,
    tiles: 1,
    zoom: Math.max(rows > 32 ? 2 : 4, Math.min(14, Math.floor(width / columns))),
    flat(tile, i, j) {
      const [input, output] = index(tile, i, j);
      return input * outputs + output;
    },
    index,
    place: ([i, j]) => (turned ? [0, j, i] : [0, i, j]),
  };
}

function vector([length], width) {
  const zoom = length <= 16 ? 28 : length <= 160 ? 16 : 9;
  const rows = Math.ceil(length / Math.max(1, Math.floor(width / zoom)));
  const columns = Math.ceil(length / rows);
  return {
    rows,
    columns,
    tiles: 1,
    zoom,
    flat: (tile, i, j) => (i * columns + j < length ? i * columns + j : -1),
    index: (tile, i, j) => [i * columns + j],
    place: ([n]) => [0, Math.floor(n / columns), n % columns],
  };
}
