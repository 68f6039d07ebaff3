// @ts-check
/**
 * Pictures of a node: fetched, decoded, kept in memory within a bound of bytes, newest first. Also what is known of the
 * line: how quick it is, and so how large a picture may be while something moves.
 */
import { ByteCache } from "../lib/cache.js";
import { Problem, asProblem } from "./http.js";
import { session } from "./session.js";
import { SHOWN, choose } from "../model/formats.js";

/** @typedef {import("./node.js").RenderNode} RenderNode */
/** @typedef {import("../model/formats.js").Likeness} Likeness */
/**
 * @typedef {object} Picture
 * @property {ImageBitmap} bitmap
 * @property {string} quality as the server says: lossless, "lossy q85", preview
 * @property {"" | "draft" | "full" | "converged"} sampling how closely the server sampled a volume
 * @property {boolean} complete
 * @property {number} bytes over the wire
 * @property {string[]} warnings sentences on what is missing in it or was done otherwise than asked
 */

const memory_gb = /** @type {any} */ (navigator).deviceMemory ?? 4;
const LIMIT_BYTES = (memory_gb >= 4 ? 256 : memory_gb >= 2 ? 128 : 64) * 1024 * 1024;

/** Of lossy pictures at rest, where the reader has chosen them. */
const QUALITY = 90;

/** @type {ByteCache<Picture>} */
const cache = new ByteCache(LIMIT_BYTES);
session.addEventListener("closed", () => cache.clear());

/** What is known of the line, as moving averages. */
const told = /** @type {any} */ (navigator).connection;
export const line = {
  // Browsers that tell something of the line never tell of more than 10 Mbit/s.
  goodput_bytes_s: told?.downlink > 0 && told.downlink < 9 ? (told.downlink * 1e6) / 8 : 4_000_000,
  round_trip_ms: 30,

  /** @param {number} bytes @param {number} first_ms until the first byte @param {number} all_ms */
  note(bytes, first_ms, all_ms) {
    const body_s = Math.max(all_ms - first_ms, 1) / 1000;
    // Small bodies arrive in one piece and say nothing of the rate.
    if (bytes > 6000) this.goodput_bytes_s += 0.3 * (Math.min(bytes / body_s, 50_000_000) - this.goodput_bytes_s);
    this.round_trip_ms += 0.3 * (first_ms - this.round_trip_ms);
  },

  /** Bytes a picture may have so that ten arrive in a second. */
  get budget_bytes() {
    return this.goodput_bytes_s / 10;
  },

  /** True where something nobody has asked for may be fetched without keeping the line from what comes next. @param {number} bytes */
  spares(bytes) {
    return bytes < this.goodput_bytes_s * 3;
  },
};

/** Size, as a part of that at rest, and likeness of pictures while something moves: the best first. @type {[number, Likeness][]} */
const STEPS = [[1, "0.98"], [1, "0.95"], [0.75, "0.95"], [0.5, "0.95"], [0.5, "0.90"], [0.35, "0.90"]];
const SMALLEST_PX = 160;

/**
 * Size, format and quality of a picture while something moves, to fit the line.
 * @param {number} width @param {number} height what would be asked for at rest
 * @param {"grey" | "color"} [kind]
 * @returns {{width: number, height: number, type: string, quality: number}}
 */
export function motionPlan(width, height, kind = "grey") {
  const most = Math.min(1, 1024 / Math.max(width, height));
  for (const [scale, likeness] of STEPS) {
    const found = choose(kind, likeness, line.goodput_bytes_s, SHOWN);
    const w = Math.max(64, Math.round(width * most * scale));
    const h = Math.max(64, Math.round(height * most * scale));
    if (found?.quality && w * h * found.bytes_per_pixel <= line.budget_bytes) return { width: w, height: h, type: found.type, quality: found.quality };
  }
  const small = Math.min(1, SMALLEST_PX / Math.max(width, height));
  const { type, quality } = choose(kind, "0.90", line.goodput_bytes_s, SHOWN) ?? { type: "image/jpeg", quality: 30 };
  return { width: Math.round(width * small), height: Math.round(height * small), type, quality: quality ?? 30 };
}

let settled_bytes_s = 0;
/** The line's rate, followed only when it has changed much: pictures at hand are found by their format. */
function settledRate() {
  const now = line.goodput_bytes_s;
  if (now > 2 * settled_bytes_s || now < settled_bytes_s / 2) settled_bytes_s = now;
  return settled_bytes_s;
}

/** The format of a picture at rest, as an Accept parameter with its quality. @param {string} format @param {"grey" | "color"} [kind] */
export function restFormat(format, kind = "grey") {
  if (format === "jpeg" || format === "webp") return [`accept=image/${format}`, `quality=${QUALITY}`];
  const found = format === "auto" ? choose(kind, "lossless", settledRate(), SHOWN) : null;
  return [`accept=${found?.type ?? "image/png"}`];
}

/**
 * Where a finished picture with these pixels would be found, without asking for it.
 * @param {RenderNode} node @param {string} path
 */
export const kept = (node, path) => cache.get(node.base + path);

/**
 * The sentences of a Warning header (RFC 7234 section 5.5; DICOM PS3.18 speaks by 299 only, others are of caches).
 * @param {string} header every value, as the browser joins them
 */
const warningsOf = (header) =>
  [...header.matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, quoted]) => quoted.replace(/\\(.)/g, "$1"));

/** Pictures asked for by more than one at the same time are fetched once. @type {Map<string, Promise<Picture>>} */
const underWay = new Map();

/**
 * @param {RenderNode} node @param {string} path below the node's address, with its query
 * @param {{signal?: AbortSignal, viewKey?: string, keep?: boolean, priority?: RequestPriority}} [how]
 * @returns {Promise<Picture>}
 */
export async function picture(node, path, how = {}) {
  const key = node.base + path;
  const found = cache.get(key);
  if (found) return found;
  const { signal, viewKey, keep = true, priority } = how;
  const running = signal ? undefined : underWay.get(key);
  if (running) return running;
  const work = (async () => {
    // The view key tells the node which requests replace each other; it does not belong to the picture.
    const asked = viewKey ? `${path}${path.includes("?") ? "&" : "?"}view=${viewKey}` : path;
    const started = performance.now();
    const response = await node.send(asked, { signal, timeout_ms: 120_000, priority });
    const first = performance.now() - started;
    /** @type {Blob} */
    let blob;
    /** @type {ImageBitmap} */
    let bitmap;
    try {
      blob = await response.blob();
      line.note(blob.size, first, performance.now() - started);
      bitmap = await createImageBitmap(blob);
    } catch (error) {
      if (signal?.aborted) throw asProblem(new DOMException("", "AbortError"));
      throw new Problem(String(error));
    }
    const complete = response.headers.get("Sivr-Complete") !== "no";
    /** @type {Picture} */
    const made = {
      bitmap, quality: response.headers.get("Sivr-Quality") ?? "", complete, bytes: blob.size,
      sampling: /** @type {Picture["sampling"]} */ (response.headers.get("Sivr-Sampling") ?? ""),
      warnings: warningsOf(response.headers.get("Warning") ?? ""),
    };
    if (keep && complete) cache.put(key, made, bitmap.width * bitmap.height * 4);
    return made;
  })();
  underWay.set(key, work);
  try {
    return await work;
  } finally {
    if (underWay.get(key) === work) underWay.delete(key);
  }
}

/**
 * Of everything asked for, the newest wins: at most two requests run, the newest waits, the rest is forgotten.
 */
export class NewestWins {
  #number = 0;
  #shown = 0;
  /** @type {{number: number, slot: number, controller: AbortController, started_ms: number}[]} */
  #running = [];
  /** @type {(() => void) | null} */
  #waiting = null;

  /** @param {1 | 2} [width] how many may run at once @param {number} [patience_ms] an older one is given up after that */
  constructor(width = 2, patience_ms = 400) {
    this.width = width;
    this.patience_ms = patience_ms;
  }

  /**
   * @template T
   * @param {(signal: AbortSignal, slot: number) => Promise<T>} work the slot tells those apart that run at once
   * @param {(result: T) => void} show called unless something newer was shown before
   * @param {(problem: Problem) => void} fail called only for the newest
   */
  ask(work, show, fail) {
    const number = ++this.#number;
    const start = () => {
      const controller = new AbortController();
      const taken = new Set(this.#running.map((one) => one.slot));
      const slot = taken.has(0) ? 1 : 0;
      const entry = { number, slot, controller, started_ms: performance.now() };
      this.#running.push(entry);
      work(controller.signal, slot)
        .then((result) => {
          if (number > this.#shown) {
            this.#shown = number;
            show(result);
          }
        })
        .catch((error) => {
          const problem = asProblem(error);
          if (!problem.canceled && number === this.#number) fail(problem);
        })
        .finally(() => {
          this.#running = this.#running.filter((one) => one !== entry);
          const next = this.#waiting;
          if (next && this.#running.length < this.width) {
            this.#waiting = null;
            next();
          }
        });
    };
    if (this.#running.length < this.width) {
      this.#waiting = null;
      start();
      return;
    }
    this.#waiting = start;
    const oldest = this.#running[0];
    if (performance.now() - oldest.started_ms > this.patience_ms) oldest.controller.abort();
  }

  /** Something newer is on the screen already (from the cache): older answers come too late. */
  overtake() {
    this.#shown = ++this.#number;
    this.#waiting = null;
  }

  get busy() {
    return this.#running.length > 0;
  }

  cancel() {
    this.overtake();
    for (const one of this.#running) one.controller.abort();
  }
}
