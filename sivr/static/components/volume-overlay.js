// @ts-check
/** What is drawn over a volume: the crop box with its handles, the lasso under the hand, points and lengths. */
import { svg } from "../lib/dom.js";
import { length, minus } from "../lib/geometry.js";
import { number } from "../model/language.js";

/** @typedef {import("./volume-view.js").VolumeView} VolumeView */
/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {{axis: number, end: "low" | "high", x: number, y: number, along: {x: number, y: number}}} Handle along: CSS px per voxel */

/** LPS of a place in voxels. @param {VolumeView} view @param {Vector} ijk @returns {Vector} */
export function lpsOf(view, ijk) {
  const rows = view.series?.volume?.lps_from_ijk ?? [];
  return /** @type {Vector} */ ([0, 1, 2].map((row) => rows[row][0] * ijk[0] + rows[row][1] * ijk[1] + rows[row][2] * ijk[2] + rows[row][3]));
}

/** The crop box, or the whole volume. @param {VolumeView} view @returns {{low: Vector, high: Vector}} */
export function boxOf(view) {
  const [slices, rows, columns] = view.series?.volume?.shape ?? [1, 1, 1];
  return view.look.crop ?? { low: [-0.5, -0.5, -0.5], high: [columns - 0.5, rows - 0.5, slices - 0.5] };
}

/** The handles in the middles of the box's faces. @param {VolumeView} view @returns {Handle[]} */
export function handlesOf(view) {
  const { low, high } = boxOf(view);
  const middle = /** @type {Vector} */ (low.map((one, axis) => (one + high[axis]) / 2));
  return [0, 1, 2].flatMap((axis) => /** @type {("low" | "high")[]} */ (["low", "high"]).map((end) => {
    const ijk = /** @type {Vector} */ ([...middle]);
    ijk[axis] = (end === "low" ? low : high)[axis];
    const next = /** @type {Vector} */ ([...ijk]);
    next[axis] += 1;
    const at = view.toScreen(lpsOf(view, ijk));
    const beyond = view.toScreen(lpsOf(view, next));
    return { axis, end, ...at, along: { x: beyond.x - at.x, y: beyond.y - at.y } };
  }));
}

/** @param {VolumeView} view */
export function drawOverlay(view) {
  /** @type {SVGElement[]} */
  const drawn = [];
  if (view.tool === "crop") drawn.push(...crop(view));
  if (view.drawing.length > 1) {
    drawn.push(svg("polygon", { class: "lasso", points: view.drawing.map((one) => `${one.x},${one.y}`).join(" ") }));
  }
  drawn.push(...points(view));
  view.layer.replaceChildren(...drawn);
}

/** @param {VolumeView} view */
function crop(view) {
  const { low, high } = boxOf(view);
  const corner = (/** @type {number} */ bits) => view.toScreen(lpsOf(view, /** @type {Vector} */ ([0, 1, 2].map((axis) => ((bits >> axis) & 1 ? high : low)[axis]))));
  const lines = [];
  for (let from = 0; from < 8; from += 1) {
    for (const bit of [1, 2, 4]) {
      if (from & bit) continue;
      const [a, b] = [corner(from), corner(from | bit)];
      lines.push(svg("line", { class: "crop-edge", x1: a.x, y1: a.y, x2: b.x, y2: b.y }));
    }
  }
  // A face that looks at the reader cannot be dragged to either side.
  const grips = handlesOf(view).filter(({ along }) => Math.hypot(along.x, along.y) > 0.15)
    .map((one) => svg("circle", { class: "crop-handle", cx: one.x, cy: one.y, r: 7, "data-handle": `${"ijk"[one.axis]}-${one.end}` }));
  return [...lines, ...grips];
}

/** @param {VolumeView} view */
function points(view) {
  const places = view.points.map((one) => ({ ...view.toScreen(one.point), ...one }));
  const drawn = places.map(({ x, y }) => svg("path", { class: "volume-point", d: `M${x - 8} ${y}h5M${x + 3} ${y}h5M${x} ${y - 8}v5M${x} ${y + 3}v5` }));
  for (const [n, a] of places.entries()) {
    const b = places[n + 1];
    if (n % 2 || !b) continue;
    drawn.unshift(svg("line", { class: "volume-length", x1: a.x, y1: a.y, x2: b.x, y2: b.y }));
    const text = svg("text", { class: "volume-text", x: (a.x + b.x) / 2 + 8, y: (a.y + b.y) / 2 - 8 });
    text.textContent = `${number(length(minus(a.point, b.point)), 1)} mm`;
    drawn.push(text);
  }
  const last = places.at(-1);
  if (last && view.tool === "pick") {
    const text = svg("text", { class: "volume-text", x: last.x + 10, y: last.y + 18 });
    text.textContent = `${number(last.value, 0)} ${view.series?.units ?? ""}`.trim();
    drawn.push(text);
  }
  return drawn;
}
