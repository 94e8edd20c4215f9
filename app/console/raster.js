/**
 * Strokes of a pen as the pixels of a small image, placed as the digits were that models are taught with.
 */

// Each pixel is looked at in so many places along each side; the share that is inked is its value.
const FINE = 4;
// A dot is not blown up to a digit.
const SMALLEST = 0.25;

const PLACEMENTS = {
  // scikit-learn's digits (UCI, NIST's forms) fill their image from edge to edge.
  8: { margin: 0, radius: 0.7, byMass: false },
  // MNIST's are fitted into 20 x 20 pixels, and their centre of mass is put into the middle of 28 x 28.
  28: { margin: 4, radius: 1.2, byMass: true },
};

/**
 * Draw strokes into an image.
 *
 * @param {Array<Array<[number, number]>>} strokes points in any unit, x to the right and y down.
 * @param {number} side of the image in pixels, 8 or 28.
 * @returns {Array<number>} how much of each pixel is inked, 0 to 1, row by row.
 */
export function rasterise(strokes, side) {
  const placement = PLACEMENTS[side];
  const placed = fitted(strokes, side, placement);
  const image = inked(placed, side, placement.radius);
  if (!placement.byMass) return image;
  const [x, y] = centreOfMass(image, side);
  return inked(moved(placed, side / 2 - x, side / 2 - y), side, placement.radius);
}

function fitted(strokes, side, { margin, radius }) {
  const points = strokes.flat();
  const [left, right] = extent(points.map(([x]) => x));
  const [top, bottom] = extent(points.map(([, y]) => y));
  const scale = (side - 2 * (margin + radius)) / Math.max(right - left, bottom - top, SMALLEST);
  const place = ([x, y]) => [
    side / 2 + (x - (left + right) / 2) * scale,
    side / 2 + (y - (top + bottom) / 2) * scale,
  ];
  return strokes.map((stroke) => stroke.map(place));
}

function extent(values) {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

function moved(strokes, dx, dy) {
  return strokes.map((stroke) => stroke.map(([x, y]) => [x + dx, y + dy]));
}

function inked(strokes, side, radius) {
  const fine = side * FINE;
  const marks = new Uint8Array(fine * fine);
  for (const stroke of strokes) {
    stroke.forEach((end, index) => mark(marks, fine, stroke[Math.max(0, index - 1)], end, radius));
  }
  const image = new Array(side * side).fill(0);
  marks.forEach((marked, at) => {
    const row = Math.floor(at / fine / FINE);
    const column = Math.floor((at % fine) / FINE);
    image[row * side + column] += marked / FINE ** 2;
  });
  return image;
}

/** Mark the places within `radius` of the line from `a` to `b`. */
function mark(marks, fine, a, b, radius) {
  const within = (value) => Math.min(fine - 1, Math.max(0, Math.floor(value * FINE)));
  const [left, right] = extent([a[0], b[0]]);
  const [top, bottom] = extent([a[1], b[1]]);
  for (let row = within(top - radius); row <= within(bottom + radius); row += 1) {
    for (let column = within(left - radius); column <= within(right + radius); column += 1) {
      const place = [(column + 0.5) / FINE, (row + 0.5) / FINE];
      if (distance(place, a, b) <= radius) marks[row * fine + column] = 1;
    }
  }
}

function distance([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

function centreOfMass(image, side) {
  let [mass, x, y] = [0, 0, 0];
  image.forEach((ink, at) => {
    mass += ink;
    x += ink * ((at % side) + 0.5);
    y += ink * (Math.floor(at / side) + 0.5);
  });
  return [x / mass, y / mass];
}
