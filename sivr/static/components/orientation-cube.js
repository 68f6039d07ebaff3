// @ts-check
/** A cube with letters that turns with the volume; a click on a face looks from there. */
import { svg } from "../lib/dom.js";
import { STANDARD_VIEWS, dot } from "../lib/geometry.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */

const HALF = 19;
const SIZE = 84;

/**
 * @param {SVGElement} into an element of SIZE x SIZE
 * @param {import("../lib/geometry.js").Axes} axes of the picture @param {(letter: string) => void} stand
 */
export function drawCube(into, axes, stand) {
  const at = (/** @type {Vector} */ corner) => `${(SIZE / 2 + dot(corner, axes.right) * HALF).toFixed(1)},${(SIZE / 2 - dot(corner, axes.up) * HALF).toFixed(1)}`;
  const faces = Object.entries(STANDARD_VIEWS)
    .map(([letter, view]) => ({ letter, view, near: dot(view.back, axes.back) }))
    .filter((face) => face.near > 0.02)
    .sort((a, b) => a.near - b.near);
  into.replaceChildren(...faces.map(({ letter, view, near }) => {
    const corner = (/** @type {number} */ x, /** @type {number} */ y) =>
      at(/** @type {Vector} */ ([0, 1, 2].map((axis) => view.back[axis] + x * view.right[axis] + y * view.up[axis])));
    const [x, y] = at(view.back).split(",");
    const face = svg("g", { class: "face", "data-face": letter, opacity: 0.55 + 0.45 * near },
      svg("polygon", { points: [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)].join(" ") }),
      svg("text", { x, y, "font-size": 8 + 10 * near }));
    /** @type {SVGElement} */ (face.lastChild).textContent = letter.toUpperCase();
    face.addEventListener("click", () => stand(letter));
    return face;
  }));
}

/** @returns {SVGElement} */
export const emptyCube = () => svg("svg", { class: "cube", viewBox: `0 0 ${SIZE} ${SIZE}`, "aria-hidden": "true" });
