// @ts-check
/**
 * The film strip of a stack: small pictures of every frame, fetched by the sheet, so that some picture of any slice is
 * here at once. Encoded sheets are kept for the whole of a series, decoded ones only as many as a bound of bytes allows,
 * however long the series is.
 */
import { ByteCache } from "../lib/cache.js";
import { asProblem } from "../net/http.js";
import { line } from "../net/line.js";
import { sheet as fetchSheet } from "../net/pictures.js";
import { session } from "../net/session.js";
import { COARSE_STEP, DECODED_BYTES, keyOf, nextSheet, sheetOf, strip } from "../model/strip-plan.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../model/types.js").Window} Window */
/** @typedef {import("../model/strip-plan.js").Sheet} Sheet */
/**
 * @typedef {object} Look how frames are shown
 * @property {string[]} query the parameters that say so
 * @property {Window | null} window
 * @property {boolean} inverted
 * @property {string} colors whatever else changes grey levels: tiles cannot be adjusted to that here
 */
/** @typedef {{bitmap: ImageBitmap, look: Look, side: number}} Tile */
/** @typedef {{blob: Blob, sheet: Sheet, side: number, look: Look, missing: Set<number>}} Encoded */

const ENCODED_BYTES = 8 * 1024 * 1024;
/** Larger tiles of what is around, once everything has a small one. */
const FINE_SIDE = 256;
const FINE_REACH = 16;
const COLUMNS = 8;
/** So long after another view moved its pictures need the line no more. */
const STILL_MS = 400;
/** Lines slower than that gain more from fewer bytes than from less work, bytes a second. */
const SLOW_BYTES_S = 250_000;

/** Format, quality, and bytes per pixel at a tile's size (decision 0024). */
const FORMATS = /** @type {Record<string, [string, number, number]>} */ ({
  slow: ["image/avif", 40, 0.075],
  old: ["image/webp", 40, 0.11],
  quick: ["image/jpeg", 40, 0.14],
});
/** Requests of all strips, and strips that wait for one to end. */
let busy = 0;
/** @type {Set<FilmStrip>} */
const waiting = new Set();
/** False in browsers that turned out not to read it. */
let avif = true;

/** @type {ByteCache<Encoded>} */
const encoded = new ByteCache(ENCODED_BYTES);
/** @type {ByteCache<Map<number, ImageBitmap>>} */
const decoded = new ByteCache(DECODED_BYTES);
session.addEventListener("closed", () => {
  encoded.clear();
  decoded.clear();
});

/** Bytes that all film strips of this tab hold. */
export const heldBytes = () => ({ encoded: encoded.bytes, decoded: decoded.bytes });

/** Fires "sheet" when tiles came. */
export class FilmStrip extends EventTarget {
  index = 0;
  direction = 1;
  #look = /** @type {Look} */ ({ query: [], window: null, inverted: false, colors: "" });
  /** Of the look before: better than nothing while the new ones come. @type {Look | null} */
  #before = null;
  /** Sheets that came once, or will not come. @type {Set<string>} */
  #done = new Set();
  /** @type {Set<string>} */
  #running = new Set();
  /** @type {Map<string, Promise<void>>} */
  #decoding = new Map();
  #controller = new AbortController();
  #held = false;
  #abreast = 1;
  #timer = 0;
  #closed = false;
  /** @type {{side: number, tiles: number} | null} */
  #plan = null;

  /** @param {import("../net/node.js").RenderNode} node @param {string} study @param {SeriesContents} series */
  constructor(node, study, series) {
    super();
    this.node = node;
    this.study = study;
    this.series = series;
    this.largest = Math.max(16, ...series.frames.map((one) => Math.max(one.columns, one.rows)));
  }

  get count() {
    return this.series.frames.length;
  }

  /** As of the look that is fetched. */
  get colors() {
    return this.#look.colors;
  }

  /** Sheets that wait to be fetched: none when everything is here. */
  get complete() {
    return !this.#next();
  }

  /** How frames are to be shown from now on; tiles of before stand in, adjusted, where they can. @param {Look} look */
  show(look) {
    if (look.query.join() === this.#look.query.join()) return;
    this.#before = this.#look;
    this.#look = look;
    this.#done.clear();
    this.#controller.abort();
    this.#controller = new AbortController();
  }

  /** The best tile of a frame that is at hand. @param {number} index @param {string} colors as of looks @returns {Tile | null} */
  tile(index, colors) {
    const plan = this.#planned();
    const fine = Math.min(FINE_SIDE, this.largest);
    // What was dropped for others is unpacked again before the reader is there.
    this.#decode(this.#key(plan.side, sheetOf(index + this.direction * plan.tiles, plan.tiles), this.#look));
    for (const look of [this.#look, this.#before]) {
      if (!look || look.colors !== colors) continue;
      const places = /** @type {[number, Sheet][]} */ ([
        [fine, sheetOf(index, COLUMNS)],
        [plan.side, sheetOf(index, plan.tiles)],
        [plan.side, coarseOf(index, plan.tiles)],
      ]);
      for (const [side, sheet] of places) {
        if (sheet.step > 1 && index % sheet.step) continue;
        const key = this.#key(side, sheet, look);
        const bitmap = decoded.get(key)?.get(index);
        if (bitmap) return { bitmap, look, side };
        if (encoded.has(key)) this.#decode(key);
        else if (look === this.#look) this.#done.delete(key);
      }
    }
    return null;
  }

  /** Ask for nothing new: something more urgent needs the line. */
  hold() {
    this.#held = true;
  }

  /** Fetch what is missing, the likely first. @param {number} abreast requests at once */
  fill(abreast) {
    this.#abreast = abreast;
    this.#held = false;
    this.#more();
  }

  #more() {
    while (!this.#held && !this.#closed) {
      const still_ms = performance.now() - line.moved_ms;
      if (still_ms < STILL_MS) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#more(), STILL_MS - still_ms);
        return;
      }
      // All strips of the page share the line, and each takes its turn.
      if (busy >= this.#abreast) {
        waiting.add(this);
        return;
      }
      const next = this.#next();
      if (!next) return;
      busy += 1;
      this.#fetch(...next).catch((error) => {
        // The reader will hear of it when the frame itself is asked for; then this goes on too, unless refused.
        const { status, canceled } = asProblem(error);
        if (status >= 400 && status < 500) this.#closed = true;
        else if (!canceled) this.#held = true;
      }).finally(() => {
        busy -= 1;
        const others = [...waiting];
        waiting.clear();
        for (const strip of others) if (strip !== this) strip.#more();
        this.#more();
      });
    }
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    waiting.delete(this);
    this.#controller.abort();
  }

  #format() {
    return FORMATS[line.goodput_bytes_s > SLOW_BYTES_S ? "quick" : avif ? "slow" : "old"];
  }

  /** Side and sheet size stay what they were at first, or the same tiles would be fetched twice. */
  #planned() {
    if (!this.#plan) {
      const { side, tiles } = strip(this.count, line.goodput_bytes_s, this.#format()[2]);
      this.#plan = { side: Math.min(side, this.largest), tiles };
    }
    return this.#plan;
  }

  /** @returns {[number, Sheet] | null} side and sheet */
  #next() {
    if (this.count < 3) return null;
    const { index, direction, count } = this;
    const { side, tiles } = this.#planned();
    const has = (/** @type {number} */ size) => (/** @type {Sheet} */ sheet) => {
      const key = this.#key(size, sheet, this.#look);
      return this.#done.has(key) || this.#running.has(key);
    };
    const whole = nextSheet({ count, index, direction, tiles, has: has(side) });
    if (whole) return [side, whole];
    const fine = Math.min(FINE_SIDE, this.largest);
    if (fine <= side || line.goodput_bytes_s > SLOW_BYTES_S) return null;
    const near = has(fine);
    const found = nextSheet({
      count, index, direction, tiles: COLUMNS,
      has: (sheet) => sheet.step > 1 || sheet.start > index + FINE_REACH || sheet.start + sheet.tiles <= index - FINE_REACH || near(sheet),
    });
    return found && [fine, found];
  }

  /** @param {number} side @param {Sheet} sheet @param {Look} look */
  #key(side, sheet, look) {
    return `${this.node.base}/${this.series.series_uid}/${side}/${keyOf(sheet)}/${look.query.join("&")}`;
  }

  /** @param {number} side @param {Sheet} sheet */
  async #fetch(side, sheet) {
    const look = this.#look;
    const key = this.#key(side, sheet, look);
    const { signal } = this.#controller;
    const [type, quality] = this.#format();
    const last = Math.min(this.count, sheet.start + sheet.step * sheet.tiles);
    const query = [`frames=${sheet.start + 1}-${last}`, `tile=${side}`, `columns=${COLUMNS}`, `accept=${type}`, `quality=${quality}`, ...look.query];
    if (sheet.step > 1) query.push(`step=${sheet.step}`);
    const path = `/studies/${this.study}/series/${this.series.series_uid}/filmstrip?${query.join("&")}`;
    this.#running.add(key);
    try {
      if (!encoded.has(key)) {
        const { blob, missing } = await fetchSheet(this.node, path, signal);
        encoded.put(key, { blob, sheet, side, look, missing }, blob.size);
      }
      this.#done.add(key);
    } finally {
      this.#running.delete(key);
    }
    await this.#decode(key);
  }

  /** @param {string} key */
  #decode(key) {
    const found = encoded.get(key);
    let work = this.#decoding.get(key);
    if (!work && found && !decoded.has(key)) {
      work = this.#cut(key, found).finally(() => this.#decoding.delete(key));
      this.#decoding.set(key, work);
    }
    return work ?? Promise.resolve();
  }

  /** @param {string} key @param {Encoded} found */
  async #cut(key, { blob, sheet, side, missing }) {
    /** @type {ImageBitmap} */
    let whole;
    try {
      whole = await createImageBitmap(blob);
    } catch {
      encoded.remove(key);
      if (blob.type === "image/avif") {
        avif = false;
        this.#done.delete(key);
      }
      return;
    }
    /** @type {Map<number, ImageBitmap>} */
    const tiles = new Map();
    const cuts = [];
    for (let number = 0; number < sheet.tiles; number += 1) {
      const index = sheet.start + number * sheet.step;
      const frame = this.series.frames[index];
      if (!frame || missing.has(index + 1)) continue;
      const scale = Math.min(side / frame.columns, side / frame.rows);
      const width = Math.max(1, Math.min(side, Math.round(frame.columns * scale)));
      const height = Math.max(1, Math.min(side, Math.round(frame.rows * scale)));
      const [x, y] = [(number % COLUMNS) * side, Math.floor(number / COLUMNS) * side];
      cuts.push(createImageBitmap(whole, x, y, width, height).then((bitmap) => tiles.set(index, bitmap)));
    }
    await Promise.all(cuts);
    whole.close();
    decoded.put(key, tiles, sheet.tiles * side * side * 4);
    this.dispatchEvent(new Event("sheet"));
  }
}

/** The sheet of every eighth frame that a frame would lie in. @param {number} index @param {number} tiles @returns {Sheet} */
const coarseOf = (index, tiles) => ({ ...sheetOf(index, tiles * COARSE_STEP), step: COARSE_STEP, tiles });
