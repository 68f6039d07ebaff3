// @ts-check
/**
 * What of a film strip to fetch next: sheets of neighboring frames, the likely ones first. Arithmetic only; indices are
 * places in reading order, from 0.
 */

/** @typedef {{start: number, step: number, tiles: number}} Sheet frames start, start + step, ... of which there are so many */

/** Of long series every so many frames come first, so that any place is nearly there. */
export const COARSE_STEP = 8;
/** Frames in the reader's back are as likely as those so many times further ahead. */
const BEHIND = 3;
const SIDES = [160, 128, 96, 64];
/** All of a series should be there so soon. */
const WHOLE_S = 5;
/** Decoded, all of a series should fit in so many bytes: then no tile has to be waited for. */
export const DECODED_BYTES = 40 * 1024 * 1024;
/** A sheet keeps the line from what is more urgent for so long at most. */
const SHEET_S = 0.15;

/**
 * The side of tiles, px, and how many one request brings, to fit the line.
 * @param {number} count frames @param {number} goodput_bytes_s @param {number} bytes_per_pixel of a strip
 * @returns {{side: number, tiles: number}}
 */
export function strip(count, goodput_bytes_s, bytes_per_pixel) {
  const fits = (/** @type {number} */ side) =>
    side * side * count * bytes_per_pixel <= goodput_bytes_s * WHOLE_S && side * side * count * 4 <= DECODED_BYTES;
  const side = SIDES.find(fits) ?? SIDES[SIDES.length - 1];
  const fit = (goodput_bytes_s * SHEET_S) / (side * side * bytes_per_pixel);
  // A power of two: the same sheets are asked for again when the line's rate moves a little.
  const tiles = 2 ** Math.floor(Math.log2(Math.min(64, Math.max(8, fit))));
  return { side, tiles };
}

/** @param {Sheet} sheet */
export const keyOf = (sheet) => `${sheet.start}/${sheet.step}/${sheet.tiles}`;

/** The sheet of neighboring frames that a frame lies in. @param {number} index @param {number} tiles @returns {Sheet} */
export const sheetOf = (index, tiles) => ({ start: index - (index % tiles), step: 1, tiles });

/**
 * The next sheet to fetch: where the reader is, then the next on the way, then every eighth of a long series, then the
 * others by their distance. null when all are there.
 * @param {{count: number, index: number, direction: number, tiles: number, has: (sheet: Sheet) => boolean}} state
 * @returns {Sheet | null}
 */
export function nextSheet({ count, index, direction, tiles, has }) {
  const near = [sheetOf(index, tiles), sheetOf(index + direction * tiles, tiles)];
  const first = near.find((one) => one.start >= 0 && one.start < count && !has(one));
  if (first) return first;
  if (count > COARSE_STEP * COARSE_STEP) {
    const coarse = nearest(count, index, direction, tiles, COARSE_STEP, has);
    if (coarse) return coarse;
  }
  return nearest(count, index, direction, tiles, 1, has);
}

/**
 * @param {number} count @param {number} index @param {number} direction @param {number} tiles @param {number} step
 * @param {(sheet: Sheet) => boolean} has @returns {Sheet | null}
 */
function nearest(count, index, direction, tiles, step, has) {
  let best = /** @type {Sheet | null} */ (null);
  let least = Infinity;
  const reach = tiles * step;
  for (let start = 0; start < count; start += reach) {
    const sheet = { start, step, tiles };
    const ahead = start > index ? start - index : start + reach <= index ? start + reach - 1 - index : 0;
    const cost = Math.abs(ahead) * (ahead * direction < 0 ? BEHIND : 1);
    if (cost < least && !has(sheet)) [best, least] = [sheet, cost];
  }
  return best;
}

/**
 * When to ask for the exact picture, ms after the reader's last step: soon enough for it to be there in time, and so
 * late that somebody who goes on scrolling does not pay for slices left behind.
 * @param {number} gap_ms between the last steps; Infinity after a pause
 * @param {number} round_trip_ms @param {number} carry_ms of the exact picture
 */
export function restDelay(gap_ms, round_trip_ms, carry_ms) {
  const expected = round_trip_ms + carry_ms + SPENT_MS;
  // Who steps slower than pictures come sees every one of them.
  if (expected < gap_ms) return 0;
  const wanted = expected < QUICK_MS ? QUICK_MS : SLOW_MS;
  const settled = Math.min(MOST_REST_MS, Math.max(LEAST_REST_MS, gap_ms * 1.2));
  return Math.min(settled, Math.max(LEAST_REST_MS, wanted - expected));
}

/** On the server and here, to make, unpack and paint a picture. */
const SPENT_MS = 45;
const QUICK_MS = 235;
const SLOW_MS = 650;
const LEAST_REST_MS = 30;
const MOST_REST_MS = 140;
