// @ts-check
/** What a node tells of volumes beside pictures: points that are seen, how often values occur. */
import { Problem } from "./http.js";

/** @typedef {import("./node.js").RenderNode} RenderNode */
/** @typedef {{point: import("../lib/geometry.js").Vector, value: number, opacity: number, complete: boolean}} Seen */
/** @typedef {{low: number, high: number, counts: number[], below: number, above: number, voxels: number, complete: boolean}} Histogram */

const id = encodeURIComponent;
const below = (/** @type {string} */ study, /** @type {string} */ series) => `/studies/${id(study)}/series/${id(series)}`;

/**
 * The point that a picture shows; null where nothing is seen.
 * @param {RenderNode} node @param {string} study @param {string} series @param {string} query of the picture, and at=
 * @param {AbortSignal} [signal] @returns {Promise<Seen | null>}
 */
export async function seenAt(node, study, series, query, signal) {
  try {
    return await node.json(`${below(study, series)}/rendered3d/pick?${query}`, { signal, timeout_ms: 30_000 });
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

/** @param {RenderNode} node @param {string} study @param {string} series @param {AbortSignal} [signal] @returns {Promise<Histogram>} */
export const histogramOf = (node, study, series, signal) =>
  node.json(`${below(study, series)}/histogram?bins=256&draft=yes`, { signal, timeout_ms: 60_000 });
