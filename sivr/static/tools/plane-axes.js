// @ts-check
/** How three planes lie in the patient: at right angles to each other, turned together. */
import { STANDARD_VIEWS, cross, dot, turnedAxes, unit } from "../lib/geometry.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {import("../lib/geometry.js").Axes} Axes */
/** @typedef {"axial" | "coronal" | "sagittal"} PlaneName */

/** From which side of the patient each is looked at. */
const SIDES = /** @type {const} */ ({ axial: "f", coronal: "a", sagittal: "l" });
export const PLANE_NAMES = /** @type {PlaneName[]} */ (Object.keys(SIDES));

/** Along the axes of the patient. @returns {Record<PlaneName, Axes>} */
export const standardAxes = () => ({ axial: STANDARD_VIEWS[SIDES.axial], coronal: STANDARD_VIEWS[SIDES.coronal], sagittal: STANDARD_VIEWS[SIDES.sagittal] });

/** Whether a plane lies as it is named. @param {PlaneName} name @param {Axes} axes */
export const isStandard = (name, axes) => dot(axes.back, STANDARD_VIEWS[SIDES[name]].back) > 1 - 1e-9 && dot(axes.up, STANDARD_VIEWS[SIDES[name]].up) > 1 - 1e-9;

/**
 * The planes after the two others were turned about the normal of one.
 * @param {Record<PlaneName, Axes>} axes @param {PlaneName} name stays as it is
 * @param {number} angle radians, counterclockwise for its viewer @returns {Record<PlaneName, Axes>}
 */
export function turnedAbout(axes, name, angle) {
  const made = { ...axes };
  for (const other of PLANE_NAMES) if (other !== name) made[other] = turnedAxes(axes[other], axes[name].back, angle);
  return made;
}

/** Direction in the patient of the line where two planes meet. @param {Axes} a @param {Axes} b @returns {Vector} */
export const meeting = (a, b) => unit(cross(a.back, b.back));

/**
 * Distance between voxels along a direction, mm.
 * @param {import("../model/types.js").VolumeFacts} volume @param {Vector} direction unit
 */
export function stepAlong(volume, direction) {
  const per_mm = [0, 1, 2].map((axis) => {
    const column = unit(/** @type {Vector} */ ([0, 1, 2].map((row) => volume.lps_from_ijk[row][axis])));
    return dot(column, direction) / (Math.abs(volume.spacing_mm[axis]) || 1);
  });
  return 1 / (Math.hypot(...per_mm) || 1);
}
