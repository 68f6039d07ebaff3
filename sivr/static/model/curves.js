// @ts-check
/** The line that a curved plane follows, drawn here at once as the server follows it (sivr/gl/curves.py). */
import { length, minus, plus, times } from "../lib/geometry.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */

const MOST_STEPS = 24;
const STEP_MM = 2;
/** Points nearer than this are one point. */
export const CLOSEST_MM = 0.5;

/**
 * A centripetal Catmull-Rom spline through the points, as a polyline.
 * @param {Vector[]} points LPS mm @returns {Vector[]}
 */
export function spline(points) {
  if (points.length < 2) return [...points];
  const last = points.length - 1;
  // One more point at each end, so that the first and last part have neighbors like the others.
  const padded = [minus(times(points[0], 2), points[1]), ...points, minus(times(points[last], 2), points[last - 1])];
  /** @type {Vector[]} */
  const line = [];
  for (let n = 0; n < last; n += 1) {
    const four = padded.slice(n, n + 4);
    const steps = Math.min(MOST_STEPS, Math.max(2, Math.ceil(length(minus(four[2], four[1])) / STEP_MM)));
    for (let step = 0; step < steps; step += 1) line.push(between(four, step / steps));
  }
  line.push(points[last]);
  return line;
}

/** Between the second and third of four points (Barry and Goldman's form). @param {Vector[]} four @param {number} part @returns {Vector} */
function between(four, part) {
  const times_ = [0];
  for (let n = 0; n < 3; n += 1) times_.push(times_[n] + Math.sqrt(Math.max(length(minus(four[n + 1], four[n])), 1e-9)));
  const t = times_[1] + part * (times_[2] - times_[1]);
  const mixed = (/** @type {Vector} */ a, /** @type {Vector} */ b, /** @type {number} */ first, /** @type {number} */ last) =>
    times(plus(times(a, times_[last] - t), times(b, t - times_[first])), 1 / (times_[last] - times_[first]));
  const lines = [0, 1, 2].map((n) => mixed(four[n], four[n + 1], n, n + 1));
  const curves = [0, 1].map((n) => mixed(lines[n], lines[n + 1], n, n + 2));
  return mixed(curves[0], curves[1], 1, 2);
}

/** @param {Vector[]} line @returns {number} mm */
export const lengthOf = (line) => line.slice(1).reduce((sum, point, n) => sum + length(minus(point, line[n])), 0);
