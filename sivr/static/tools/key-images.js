// @ts-check
/** Which frames are key images: annotations of the kind "key". */

/** @typedef {import("./annotation-book.js").AnnotationBook} AnnotationBook */

/** @param {AnnotationBook} book @param {import("../model/types.js").Frame} frame */
export const isKey = (book, frame) => book.onFrame(frame.instance_uid, frame.frame).some((one) => one.kind === "key");

/** Places in reading order, from 0. @param {AnnotationBook} book @param {import("../model/types.js").SeriesContents} series @returns {number[]} */
export function keyPlaces(book, series) {
  const marked = new Set(book.all.flatMap(({ kind, place }) => (kind === "key" && place.on === "frame" ? [`${place.instance_uid}/${place.frame}`] : [])));
  return marked.size ? series.frames.flatMap((frame, index) => (marked.has(`${frame.instance_uid}/${frame.frame}`) ? [index] : [])) : [];
}
