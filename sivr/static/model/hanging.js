// @ts-check
/**
 * Hanging protocols: which series hang where, for studies of a kind. Some come with the page, a reader keeps others; the
 * one that fits best is hung when a study is opened.
 */

/** @typedef {import("./types.js").SeriesContents} SeriesContents */
/** @typedef {"2d" | "mpr" | "3d"} Mode */
/**
 * @typedef {object} Place what hangs in a cell
 * @property {Mode} mode
 * @property {string} [modality] @property {string} [description] @property {string} [side] laterality and view, e.g. "R CC"
 * @property {number} [order] which of those that fit, from 0
 * @property {boolean} [prior] of the newest other study, where one is open
 * @property {import("./types.js").Window | null} [window]
 * @property {string} [preset] @property {string} [method]
 */
/**
 * @typedef {object} Protocol
 * @property {string} id @property {string} name a sentence's key where the page brought it
 * @property {string} modality @property {string} [body_part] @property {string} [laterality]
 * @property {[number, number]} layout rows, columns
 * @property {Place[]} places by cell, in the order of reading
 * @property {boolean} [automatic] hung without being asked
 */
/** @typedef {{series: SeriesContents, index: number | null}} Hung index: the frame it begins with */

/** As breasts hang: the right one at the left, back to back. */
const SIDES = ["R CC", "L CC", "R MLO", "L MLO"];

/** @type {Protocol[]} */
export const STANDARD = [
  { id: "mg-four", name: "hanging.mg-four", modality: "MG", layout: [2, 2], automatic: true, places: SIDES.map((side) => ({ mode: "2d", modality: "MG", side })) },
  { id: "planes-volume", name: "hanging.planes-volume", modality: "CT", layout: [1, 2], places: [{ mode: "mpr", order: 0 }, { mode: "3d", order: 0 }] },
  { id: "mr-four", name: "hanging.mr-four", modality: "MR", layout: [2, 2], places: [0, 1, 2, 3].map((order) => ({ mode: "2d", modality: "MR", order })) },
  { id: "pt-ct", name: "hanging.pt-ct", modality: "PT", layout: [2, 2], places: [
    { mode: "2d", modality: "CT", order: 0 }, { mode: "2d", modality: "PT", order: 0 }, { mode: "mpr", modality: "PT", order: 0 }, { mode: "3d", modality: "PT", order: 0, method: "maximum_ip" },
  ] },
  { id: "two-views", name: "hanging.two-views", modality: "DX", layout: [1, 2], places: [0, 1].map((order) => ({ mode: "2d", order })) },
  { id: "prior", name: "hanging.prior", modality: "", layout: [1, 2], places: [{ mode: "2d", order: 0 }, { mode: "2d", order: 0, prior: true }] },
];

const alike = (/** @type {string} */ a, /** @type {string} */ b) => a.trim().toLowerCase() === b.trim().toLowerCase();

/**
 * How well a protocol fits a study; 0 where it does not.
 * @param {Protocol} protocol @param {SeriesContents[]} all @returns {number}
 */
export function fitness(protocol, all) {
  const shown = all.filter((one) => one.renderable);
  let points = protocol.modality ? 0 : 1;
  if (protocol.modality) {
    // CR and DX are read alike.
    const same = (/** @type {string} */ modality) => modality === protocol.modality || (protocol.modality === "DX" && modality === "CR");
    if (!shown.some((one) => same(one.modality))) return 0;
    points += 4;
  }
  for (const [wanted, name] of /** @type {[string | undefined, "body_part" | "laterality"][]} */ ([[protocol.body_part, "body_part"], [protocol.laterality, "laterality"]])) {
    if (!wanted) continue;
    if (!shown.some((one) => alike(one[name] ?? "", wanted))) return 0;
    points += 2;
  }
  return points;
}

/**
 * The protocols that fit, the best first; a reader's own before those of the page.
 * @param {Protocol[]} own @param {SeriesContents[]} all
 */
export function fitting(own, all) {
  const scored = [...own.map((one) => ({ one, points: fitness(one, all) * 2 + 1 })), ...STANDARD.map((one) => ({ one, points: fitness(one, all) * 2 }))];
  return scored.filter(({ points }) => points > 1).sort((a, b) => b.points - a.points).map(({ one }) => one);
}

/**
 * What hangs at each place; null where nothing fits.
 * @param {Protocol} protocol @param {SeriesContents[]} now @param {SeriesContents[]} prior of the other study
 * @returns {(Hung | null)[]}
 */
export function hung(protocol, now, prior) {
  return protocol.places.map((place) => {
    const from = (place.prior ? prior : now).filter((one) => one.renderable && (place.mode === "2d" || one.volume) && (!place.modality || one.modality === place.modality));
    if (place.side) {
      for (const series of from) {
        const index = series.frames.findIndex((frame) => alike(frame.side, /** @type {string} */ (place.side)));
        if (index >= 0) return { series, index };
      }
      return null;
    }
    const named = place.description ? from.filter((one) => alike(one.description, /** @type {string} */ (place.description))) : [];
    const series = (named.length ? named : from)[named.length ? 0 : place.order ?? 0];
    return series ? { series, index: null } : null;
  });
}
