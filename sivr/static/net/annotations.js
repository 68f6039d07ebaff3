// @ts-check
/** Annotations of a study: kept by its institution, counted, written and read as documents by its node. */
import { jsonOf } from "./http.js";

/** @typedef {import("./institution.js").Institution} Institution */
/** @typedef {import("./node.js").RenderNode} RenderNode */
/** @typedef {{on: "frame", series_uid: string, instance_uid: string, frame: number} | {on: "patient", frame_of_reference_uid: string, series_uid: string}} Place */
/** @typedef {{kind: string, place: Place, points: number[][], name: string, text: string, color: string, visibility: "everyone" | "author"}} Drawing */
/**
 * @typedef {Drawing & {id: string, study_uid: string, author: {id: string, name: string}, version: number, deleted: boolean,
 *   change: number, created_at: string, updated_at: string}} Annotation
 */

const id = encodeURIComponent;
const LONGEST_QUERY = 1500;

/** @param {Institution} institution @param {string} study @param {number} since @param {AbortSignal} [signal] @returns {Promise<{items: Annotation[], cursor: number, more: boolean}>} */
export const annotationsSince = (institution, study, since, signal) => institution.json(`/studies/${id(study)}/annotations?since=${since}`, { signal });

/** @param {Institution} institution @param {string} study @param {string} key @param {Drawing} drawing @returns {Promise<Annotation>} */
export const addAnnotation = (institution, study, key, drawing) =>
  institution.json(`/studies/${id(study)}/annotations`, { method: "POST", json: { ...drawing, id: key } });

/** @param {Institution} institution @param {string} study @param {string} key @param {Drawing & {version: number, deleted: boolean}} change @returns {Promise<Annotation>} */
export const changeAnnotation = (institution, study, key, change) =>
  institution.json(`/studies/${id(study)}/annotations/${id(key)}`, { method: "PUT", json: change });

/** @param {Institution} institution @param {string} study @param {Drawing[]} annotations @returns {Promise<{added: Annotation[], known: number, refused: {index: number, reason: string}[]}>} */
export const takeAnnotations = (institution, study, annotations) =>
  institution.json(`/studies/${id(study)}/annotation-batches`, { method: "POST", json: { annotations }, timeout_ms: 120_000 });

/** All annotations as a file. @param {Institution} institution @param {string} study @returns {Promise<Blob>} */
export const annotationFile = async (institution, study) => (await institution.send(`/studies/${id(study)}/annotations.json`)).blob();

/** A document of annotations. @param {RenderNode} node @param {string} study @param {string} form @param {Drawing[]} annotations @returns {Promise<Blob>} */
export const annotationDocument = async (node, study, form, annotations) =>
  (await node.send(`/studies/${id(study)}/${form}`, { method: "POST", json: { annotations }, timeout_ms: 120_000 })).blob();

/**
 * What a file holds. @param {RenderNode} node @param {string} study @param {string} series @param {Blob} file
 * @returns {Promise<{form: string, annotations: Drawing[], refused: {index: number, reason: string}[]}>}
 */
export const readAnnotations = async (node, study, series, file) =>
  jsonOf(await node.send(`/studies/${id(study)}/annotation-readings?series=${id(series)}`, { method: "POST", body: file, timeout_ms: 120_000 }));

/** Documents stored in the study. @param {RenderNode} node @param {string} study @returns {Promise<{items: {series_uid: string, instance_uid: string, form: string, description: string}[]}>} */
export const annotationObjects = (node, study) => node.json(`/studies/${id(study)}/annotation-objects`);

/** @param {RenderNode} node @param {string} study @param {string} instance @returns {Promise<{form: string, annotations: Drawing[], refused: {index: number, reason: string}[]}>} */
export const readStored = (node, study, instance) => node.json(`/studies/${id(study)}/annotation-objects/${id(instance)}/annotations`);

/**
 * Figures of the values within a shape.
 * @param {RenderNode} node @param {string} study @param {{series_uid: string, instance_uid: string, frame: number}} place
 * @param {string} shape @param {number[][]} points @param {AbortSignal} [signal] @returns {Promise<any>}
 */
export function shapeStatistics(node, study, place, shape, points, signal) {
  const path = `/studies/${id(study)}/series/${id(place.series_uid)}/instances/${id(place.instance_uid)}/frames/${place.frame}/statistics`;
  const query = points.map(([x, y]) => `${+x.toFixed(3)},${+y.toFixed(3)}`).join(",");
  if (query.length < LONGEST_QUERY) return node.json(`${path}?shape=${shape}&points=${query}`, { signal });
  return node.json(path, { method: "POST", json: { shape, points, bins: 64 }, signal });
}
