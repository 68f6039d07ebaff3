// @ts-check
/** What a node tells of single frames and makes of several: windows, elements, movies. */
import { Problem, asProblem } from "./http.js";

/** @typedef {import("./node.js").RenderNode} RenderNode */
/** @typedef {import("../model/types.js").Frame} Frame */
/**
 * @typedef {object} TagRow
 * @property {string} tag eight hexadecimal digits @property {string} vr @property {string} [keyword] @property {string} [name]
 * @property {string} [creator] @property {string} [value] @property {boolean} [shortened] @property {number} [length] bytes that are not shown
 * @property {TagRow[][]} [items] @property {number} [first_item] @property {number} [items_total]
 */

const id = encodeURIComponent;
const POLL_MS = 400;

/** @param {string} study @param {string} series @param {Frame} frame */
const instancePath = (study, series, frame) => `/studies/${id(study)}/series/${id(series)}/instances/${id(frame.instance_uid)}`;

/**
 * A window for what is in view.
 * @param {RenderNode} node @param {string} study @param {string} series @param {Frame} frame @param {number[]} region left, top, right, bottom in stored pixels
 * @returns {Promise<{window: import("../model/types.js").Window, histogram: {low: number, high: number, counts: number[]}, background: number | null}>}
 */
export const autoWindow = (node, study, series, frame, region) =>
  node.json(`${instancePath(study, series, frame)}/frames/${frame.frame}/window?region=${region.map((value) => value.toFixed(1)).join(",")}`);

/** @param {RenderNode} node @param {string} study @param {string} series @param {Frame} frame @returns {Promise<{rows: TagRow[], complete: boolean}>} */
export const tags = (node, study, series, frame) => node.json(`${instancePath(study, series, frame)}/tags?frame=${frame.frame}`);

/** A picture as a file. @param {RenderNode} node @param {string} path @param {AbortSignal} [signal] @returns {Promise<Blob>} */
export async function pictureFile(node, path, signal) {
  const response = await node.send(path, { signal, timeout_ms: 120_000 });
  try {
    return await response.blob();
  } catch (error) {
    if (signal?.aborted) throw asProblem(new DOMException("", "AbortError"));
    throw new Problem(String(error));
  }
}

/**
 * A movie of a series as a file.
 * @param {RenderNode} node @param {string} study @param {string} series @param {string[]} query @param {string} key tells this movie from others
 * @param {(done: number, total: number) => void} progress @param {AbortSignal} signal
 */
export async function movieFile(node, study, series, query, key, progress, signal) {
  const path = `/studies/${id(study)}/series/${id(series)}/cine`;
  let over = false;
  const watch = async () => {
    while (!over && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      // Before it is begun and after it is sent nobody knows of it.
      const found = over ? null : await node.json(`${path}/progress?view=${key}`, { signal, timeout_ms: 10_000 }).catch(() => null);
      if (found?.total && !over) progress(found.done, found.total);
    }
  };
  watch();
  try {
    const response = await node.send(`${path}?${[...query, `view=${key}`].join("&")}`, { signal, timeout_ms: 1_800_000 });
    return await response.blob();
  } catch (error) {
    if (signal.aborted) throw asProblem(new DOMException("", "AbortError"));
    throw error;
  } finally {
    over = true;
  }
}
