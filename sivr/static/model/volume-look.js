// @ts-check
/** How a volume is to look and what is cut away from it, as the query of its pictures says it (docs/integrator.md). */

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {[number, number, number, number, number]} Point value, red, green, blue, opacity, all but the value 0 to 1 */
/** @typedef {{relative: boolean, points: Point[]}} Transfer */
/** @typedef {[number, number, number]} Light ambient, diffuse, specular */
/** @typedef {{point: Vector, normal: Vector}} Plane what its normal points to is taken away */
/** @typedef {{outside: boolean, position: Vector, lookat: Vector, up: Vector, fov_mm: number, corners: [number, number][]}} Lasso */

export const MOST_CORNERS = 96;
export const MOST_LASSOS = 8;
export const MOST_POINTS = 32;

const short = (/** @type {number} */ value, digits = 3) => String(Number(value.toFixed(digits)));
const hex = (/** @type {number} */ part) => Math.round(Math.min(Math.max(part, 0), 1) * 255).toString(16).padStart(2, "0");

/** @param {Point} point @returns {string} rrggbb */
export const colorOf = (point) => hex(point[1]) + hex(point[2]) + hex(point[3]);

/** @param {Point} point @param {string} color #rrggbb @returns {Point} */
export const colored = (point, color) => [point[0], ...[1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255), point[4]];

/** A volume as it looks when nothing was changed. */
export class VolumeLook {
  /** Instead of a preset. @type {Transfer | null} */
  transfer = null;
  /** Factor of the density. */
  opacity = 1;
  /** null: the preset's. @type {Light | null} */
  light = null;
  /** How much darker the farthest point is, 0 to 1. */
  depth = 0;
  /** Of the surface that the method "surface" shows. */
  iso = 300;
  isoColor = "ece0c8";
  /** Voxels kept along i, j, k. @type {{low: Vector, high: Vector} | null} */
  crop = null;
  /** @type {Plane | null} */
  plane = null;
  /** @type {Lasso[]} */
  lassos = [];

  /** Parameters of the light, the density and, of the method "surface", its value. @param {string} method */
  appearance(method) {
    /** @type {string[]} */
    const options = [];
    if (method === "surface") options.push(`isovalue=${short(this.iso)}`, `isocolor=${this.isoColor}`);
    else if (method !== "volume_rendered") return options;
    else if (this.transfer) {
      const points = this.transfer.points.map((point) => `${short(point[0], 4)},${colorOf(point)},${short(point[4], 4)}`);
      options.push(`transfer=${this.transfer.relative ? "relative" : "absolute"};${points.join(";")}`);
    }
    if (this.opacity !== 1 && method !== "surface") options.push(`opacity=${short(this.opacity)}`);
    if (this.light) options.push(`light=${this.light.map((one) => short(one)).join(",")}`);
    if (this.depth) options.push(`depthcue=${short(this.depth)}`);
    return options;
  }

  /** Parameters of what is cut away. */
  cuts() {
    /** @type {string[]} */
    const options = [];
    if (this.crop) options.push(`crop=${[0, 1, 2].map((axis) => `${short(this.crop?.low[axis] ?? 0, 2)},${short(this.crop?.high[axis] ?? 0, 2)}`).join(",")}`);
    if (this.plane) options.push(`clip=${[...this.plane.point, ...this.plane.normal].map((one) => short(one, 4)).join(",")}`);
    if (this.lassos.length) {
      options.push(`cut=${this.lassos.map((one) => [
        one.outside ? "outside" : "inside", ...[...one.position, ...one.lookat].map((part) => short(part, 1)), ...one.up.map((part) => short(part, 5)),
        short(one.fov_mm, 2), ...one.corners.flat().map((part) => short(part, 3)),
      ].join(",")).join(";")}`);
    }
    return options;
  }

  get isCut() {
    return !!this.crop || !!this.plane || this.lassos.length > 0;
  }

  uncut() {
    this.crop = null;
    this.plane = null;
    this.lassos = [];
  }
}

/**
 * A line with no more corners than may be asked for, evenly taken.
 * @template T
 * @param {T[]} corners @param {number} [most] @returns {T[]}
 */
export function thinned(corners, most = MOST_CORNERS) {
  if (corners.length <= most) return corners;
  return Array.from({ length: most }, (_, index) => corners[Math.floor((index * corners.length) / most)]);
}
