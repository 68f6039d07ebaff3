// @ts-check
/** A study opened for reading: its node, its series, what stands over its pictures. */
import { institutionAt } from "../net/institution.js";
import { nodeAt } from "../net/node.js";
import { bookOf } from "./annotation-book.js";
import { date } from "../model/language.js";
import { facts, fullName } from "../model/people.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/**
 * @typedef {object} OpenStudy
 * @property {string} uid
 * @property {import("../model/types.js").Patient} patient
 * @property {import("../net/institution.js").Institution} institution
 * @property {import("../model/types.js").Institution} site the same, as the toplevel knows it
 * @property {import("./annotation-book.js").AnnotationBook} book its annotations
 * @property {import("../net/node.js").RenderNode} node
 * @property {import("../model/types.js").Study} study
 * @property {SeriesContents[]} series
 * @property {string} title description or modalities, date
 * @property {{tl: string[], tr: string[]}} texts what is written into the upper corners
 */

/**
 * Ask the institution for a grant and the node for the contents.
 * @param {import("../model/types.js").Institution} place @param {string} uid @param {import("../model/types.js").Patient} patient
 * @returns {Promise<OpenStudy>}
 */
export async function openStudy(place, uid, patient) {
  const institution = institutionAt(place.url);
  const [study, granted] = await Promise.all([institution.study(uid), institution.grantView(uid)]);
  const node = nodeAt(granted.node.url);
  await node.allow(`view:${uid}`, () => institution.grantView(uid), granted);
  const { series } = await node.contents(uid);
  const when = date(study.study_date);
  return {
    uid, patient, institution, site: place, book: bookOf(institution, uid), node, study, series,
    title: [study.description || study.modalities.join(" "), when].filter(Boolean).join(" · "),
    texts: { tl: [fullName(patient), facts(patient)], tr: [place.name, [study.description, when].filter(Boolean).join(" · ")] },
  };
}
