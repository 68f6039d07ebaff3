// @ts-check
/** Where frames lie in the patient. Frame coordinates are column and row, the first pixel's center at 0.5, 0.5. */
import { cross, dot, minus, plus, times, unit } from "../lib/geometry.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {import("./types.js").SeriesContents} SeriesContents */
/** @typedef {{x: number, y: number}} Point */
/**
 * @typedef {object} Plane
 * @property {Vector} origin center of the first pixel, LPS mm
 * @property {Vector} row direction of increasing column @property {Vector} col direction of increasing row
 * @property {Vector} normal
 * @property {number} across mm between columns @property {number} down mm between rows
 * @property {number} columns @property {number} rows
 */

/** Planes whose normals differ by less are parallel (about 3 degrees). */
const PARALLEL = 0.9986;

/**
 * The plane of a frame; null where the object has no place in the patient.
 * @param {SeriesContents} series @param {number} index @returns {Plane | null}
 */
export function planeOf(series, index) {
  const frame = series.frames[index];
  const orientation = frame?.orientation ?? series.orientation;
  if (!frame?.origin || !orientation || !series.spacing_mm) return null;
  const { row, col } = orientation;
  return {
    origin: frame.origin, row, col, normal: unit(cross(row, col)), down: series.spacing_mm[0], across: series.spacing_mm[1],
    columns: frame.columns, rows: frame.rows,
  };
}

/** @param {Plane} plane @param {Point} point frame coordinates @returns {Vector} LPS mm */
export const lpsFromFrame = (plane, point) =>
  plus(plane.origin, plus(times(plane.row, (point.x - 0.5) * plane.across), times(plane.col, (point.y - 0.5) * plane.down)));

/** @param {Plane} plane @param {Vector} lps projected along the normal @returns {Point} frame coordinates */
export function frameFromLps(plane, lps) {
  const from = minus(lps, plane.origin);
  return { x: dot(from, plane.row) / plane.across + 0.5, y: dot(from, plane.col) / plane.down + 0.5 };
}

/** @param {Plane} plane @param {Vector} lps @returns {number} mm, signed along the normal */
export const distance_mm = (plane, lps) => dot(minus(lps, plane.origin), plane.normal);

/** @param {Plane} a @param {Plane} b */
export const parallel = (a, b) => Math.abs(dot(a.normal, b.normal)) > PARALLEL;

/**
 * The frame nearest to a point of the patient; null where no frame has a place.
 * @param {SeriesContents} series @param {Vector} lps @returns {{index: number, distance_mm: number} | null}
 */
export function nearestFrame(series, lps) {
  let best = null;
  for (let index = 0; index < series.frames.length; index += 1) {
    const plane = planeOf(series, index);
    if (!plane) continue;
    const away = Math.abs(distance_mm(plane, lps));
    if (!best || away < best.distance_mm - 1e-6) best = { index, distance_mm: away };
  }
  return best;
}

/**
 * Where another frame cuts this one: a line between two points in frame coordinates, as long as both frames reach; null
 * where they are parallel or do not meet.
 * @param {Plane} plane @param {Plane} other @returns {[Point, Point] | null}
 */
export function cutLine(plane, other) {
  if (parallel(plane, other)) return null;
  // The other frame's four edges, each where it crosses this plane.
  const corners = [[0, 0], [other.columns, 0], [other.columns, other.rows], [0, other.rows]].map(([x, y]) => lpsFromFrame(other, { x, y }));
  /** @type {Point[]} */
  const crossings = [];
  corners.forEach((a, at) => {
    const b = corners[(at + 1) % 4];
    const [da, db] = [distance_mm(plane, a), distance_mm(plane, b)];
    if ((da < 0) === (db < 0)) return;
    crossings.push(frameFromLps(plane, plus(a, times(minus(b, a), da / (da - db)))));
  });
  return crossings.length < 2 ? null : clipped(crossings[0], crossings[1], plane.columns, plane.rows);
}

/** Liang and Barsky. @param {Point} a @param {Point} b @param {number} width @param {number} height @returns {[Point, Point] | null} */
function clipped(a, b, width, height) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  let [from, to] = [0, 1];
  for (const [p, q] of [[-dx, a.x], [dx, width - a.x], [-dy, a.y], [dy, height - a.y]]) {
    if (Math.abs(p) < 1e-9) {
      if (q < 0) return null;
    } else if (p < 0) from = Math.max(from, q / p);
    else to = Math.min(to, q / p);
  }
  const at = (/** @type {number} */ part) => ({ x: a.x + part * dx, y: a.y + part * dy });
  return from < to ? [at(from), at(to)] : null;
}
