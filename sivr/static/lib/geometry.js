// @ts-check
/** Vectors, rotations and orientation letters in patient LPS millimeters (+x left, +y posterior, +z head). */

/** @typedef {[number, number, number]} Vector */
/** @typedef {{right: Vector, up: Vector, back: Vector}} Axes the picture's axes in the patient; back points to the viewer */

/** @param {Vector} a @param {Vector} b @returns {Vector} */
export const plus = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
/** @param {Vector} a @param {Vector} b @returns {Vector} */
export const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
/** @param {Vector} a @param {number} k @returns {Vector} */
export const times = (a, k) => [a[0] * k, a[1] * k, a[2] * k];
/** @param {Vector} a @param {Vector} b */
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
/** @param {Vector} a @param {Vector} b @returns {Vector} */
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
/** @param {Vector} a */
export const length = (a) => Math.hypot(a[0], a[1], a[2]);
/** @param {Vector} a @returns {Vector} */
export const unit = (a) => times(a, 1 / (length(a) || 1));

/**
 * Turn a vector about an axis (Rodrigues).
 * @param {Vector} v @param {Vector} axis unit @param {number} angle radians @returns {Vector}
 */
export function turned(v, axis, angle) {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  return plus(plus(times(v, c), times(cross(axis, v), s)), times(axis, dot(axis, v) * (1 - c)));
}

/**
 * Axes turned about an axis of the patient, made orthonormal again so that errors do not pile up.
 * @param {Axes} axes @param {Vector} axis @param {number} angle @returns {Axes}
 */
export function turnedAxes(axes, axis, angle) {
  const back = unit(turned(axes.back, axis, angle));
  const right = unit(cross(turned(axes.up, axis, angle), back));
  return { right, up: cross(back, right), back };
}

/** The six standard views: camera on that side looking through (PS3.18 8.3.5.3). @type {Record<string, Axes>} */
export const STANDARD_VIEWS = {
  a: { right: [1, 0, 0], up: [0, 0, 1], back: [0, -1, 0] },
  p: { right: [-1, 0, 0], up: [0, 0, 1], back: [0, 1, 0] },
  r: { right: [0, -1, 0], up: [0, 0, 1], back: [-1, 0, 0] },
  l: { right: [0, 1, 0], up: [0, 0, 1], back: [1, 0, 0] },
  h: { right: [-1, 0, 0], up: [0, -1, 0], back: [0, 0, 1] },
  f: { right: [1, 0, 0], up: [0, -1, 0], back: [0, 0, -1] },
};

/**
 * Letters of a direction, the strongest first, e.g. "LA"; weak components are left out.
 * @param {Vector} direction @returns {string}
 */
export function letters(direction) {
  const names = [["R", "L"], ["A", "P"], ["F", "H"]];
  return [0, 1, 2]
    .filter((axis) => Math.abs(direction[axis]) > 0.2)
    .sort((a, b) => Math.abs(direction[b]) - Math.abs(direction[a]))
    .slice(0, 2)
    .map((axis) => names[axis][direction[axis] > 0 ? 1 : 0])
    .join("");
}

/**
 * Letters for the four edges of a picture.
 * @param {Vector} right @param {Vector} down
 * @returns {{left: string, right: string, top: string, bottom: string}}
 */
export function edgeLetters(right, down) {
  return {
    right: letters(right), left: letters(times(right, -1)), bottom: letters(down), top: letters(times(down, -1)),
  };
}

/**
 * The rotation an arcball makes of a drag: axis in the picture (x right, y up, z to the viewer) and angle.
 * @param {number} width @param {number} height @param {[number, number]} from @param {[number, number]} to CSS px
 * @returns {{axis: Vector, angle: number}}
 */
export function arcball(width, height, from, to) {
  const radius = Math.min(width, height) / 2;
  /** @param {[number, number]} point @returns {Vector} */
  const onBall = ([x, y]) => {
    const px = (x - width / 2) / radius;
    const py = (height / 2 - y) / radius;
    const square = px * px + py * py;
    // Bell's sphere: a ball inside, a hyperbola outside, smooth where they meet.
    return unit([px, py, square < 0.5 ? Math.sqrt(1 - square) : 0.5 / Math.sqrt(square)]);
  };
  const a = onBall(from);
  const b = onBall(to);
  const axis = cross(a, b);
  const sine = length(axis);
  return sine < 1e-9 ? { axis: [0, 0, 1], angle: 0 } : { axis: unit(axis), angle: 2 * Math.atan2(sine, dot(a, b)) };
}

/**
 * A length for a scale bar: 1, 2 or 5 times a power of ten, at most `limit_mm`.
 * @param {number} limit_mm @returns {number}
 */
export function niceLength(limit_mm) {
  const power = 10 ** Math.floor(Math.log10(limit_mm));
  const found = [5, 2, 1].find((step) => step * power <= limit_mm);
  return (found ?? 1) * power;
}

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
