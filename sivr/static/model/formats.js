// @ts-check
/**
 * Which picture format arrives first, by measured costs. The table and the rule are the server's
 * (sivr/model/format_choice.py); a test holds both to the same answers.
 */
import { COSTS } from "./format-costs.js";

/** @typedef {"image/png" | "image/jpeg" | "image/webp" | "image/avif"} MediaType */
/** @typedef {"0.85" | "0.90" | "0.95" | "0.98" | "lossless"} Likeness structural similarity to the lossless picture */
/** @typedef {"auto" | "png" | "jpeg" | "webp"} Format what a reader may choose for pictures at rest */
/** @typedef {{type: MediaType, quality: number | null, bytes_per_pixel: number}} Choice quality null for lossless */

/** What every browser shows that can run this page. @type {readonly MediaType[]} */
export const SHOWN = ["image/png", "image/jpeg", "image/webp"];

/**
 * @param {"grey" | "color"} kind @param {Likeness} likeness @param {number} bytes_per_s
 * @param {readonly MediaType[]} accepted
 * @returns {Choice | null} the format whose picture is made, carried and unpacked soonest; null when none will do
 */
export function choose(kind, likeness, bytes_per_s, accepted) {
  let best = /** @type {Choice | null} */ (null);
  let best_s = Infinity;
  for (const [type, [quality, bytes_per_pixel, ns_per_pixel]] of Object.entries(COSTS[kind][likeness])) {
    const spent_s = bytes_per_pixel / bytes_per_s + ns_per_pixel * 1e-9;
    if (accepted.includes(/** @type {MediaType} */ (type)) && spent_s < best_s) {
      best = { type: /** @type {MediaType} */ (type), quality, bytes_per_pixel };
      best_s = spent_s;
    }
  }
  return best;
}
