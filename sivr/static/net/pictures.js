// @ts-check
/**
 * Pictures of a node: fetched, decoded, kept in memory within a bound of bytes, newest first; and how large one may be
 * while something moves, to fit the line.
 */
import { ByteCache } from "../lib/cache.js";
import { Problem, asProblem } from "./http.js";
import { PARTS, line, serverTime } from "./line.js";
import { session } from "./session.js";
import { SHOWN, choose } from "../model/formats.js";
import { t } from "../model/language.js";

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

/** Bytes of decoded pictures that this tab holds. */
export const heldBytes = () => cache.bytes;

export { line };

/** Size, as a part of that at rest, and likeness of pictures while something moves: the best first. @type {[number, Likeness][]} */
const STEPS = [[1, "0.98"], [1, "0.95"], [0.75, "0.95"], [0.5, "0.95"], [0.5, "0.90"], [0.35, "0.90"]];
const SMALLEST_PX = 160;
/** @typedef {{width: number, height: number, type: string, quality: number, expected_bytes: number}} Plan */

/**
 * Size, format and quality of a picture that must be on its way soon, to fit the line.
 * @param {number} width @param {number} height what would be asked for at rest
 * @param {"grey" | "color"} [kind] @param {number} [budget_bytes] while something moves, a tenth of a second
 * @returns {Plan} expected_bytes by the table of costs
 */
export function motionPlan(width, height, kind = "grey", budget_bytes = line.budget_bytes) {
  const most = Math.min(1, 1024 / Math.max(width, height));
  const weight = line.weights[kind];
  for (const [scale, likeness] of STEPS) {
    const found = choose(kind, likeness, line.goodput_bytes_s, SHOWN);
    const w = Math.max(64, Math.round(width * most * scale));
    const h = Math.max(64, Math.round(height * most * scale));
    if (found?.quality && w * h * found.bytes_per_pixel * weight <= budget_bytes) return planned(w, h, found);
  }
  const small = Math.min(1, SMALLEST_PX / Math.max(width, height));
  const least = choose(kind, "0.90", line.goodput_bytes_s, SHOWN) ?? { type: "image/jpeg", quality: 30, bytes_per_pixel: 0.04 };
  return planned(Math.round(width * small), Math.round(height * small), least);
}

/** @param {number} width @param {number} height @param {{type: string, quality: number | null, bytes_per_pixel: number}} format @returns {Plan} */
const planned = (width, height, { type, quality, bytes_per_pixel }) =>
  ({ width, height, type, quality: quality ?? 30, expected_bytes: width * height * bytes_per_pixel });

/** How many pictures of a view may be under way at once, so that a long round trip does not keep them from coming. @param {number} server_ms */
export const abreast = (server_ms) => Math.min(4, Math.max(2, Math.ceil((line.round_trip_ms + server_ms) / 100 + 1)));

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

/**
 * An answer's body, noting what it tells of the line. Giving it up stops the server and the line, also when the head is
 * here already.
 * @param {RenderNode} node @param {string} path
 * @param {{signal?: AbortSignal, priority?: RequestPriority, begun?: () => void}} how begun is called when the head is here
 * @returns {Promise<{blob: Blob, headers: Headers}>}
 */
async function carried(node, path, { signal, priority, begun }) {
  const transfer = line.begin();
  let whole = false;
  /** @type {Uint8Array[]} */
  const pieces = [];
  /** @type {Response} */
  let response;
  try {
    response = await node.send(path, { signal, timeout_ms: 120_000, priority });
    transfer.head(response.headers);
    begun?.();
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const stop = () => reader.cancel().catch(() => {});
    signal?.addEventListener("abort", stop, { once: true });
    try {
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        pieces.push(piece.value);
        transfer.received(piece.value.length);
      }
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    if (signal?.aborted) throw new DOMException("", "AbortError");
    whole = true;
  } catch (error) {
    throw error instanceof TypeError ? new Problem(t("error.network"), { network: true }) : asProblem(error);
  } finally {
    const whole_ms = transfer.end(whole);
    if (whole) noteLast(/** @type {Response} */ (response).headers, pieces, whole_ms);
  }
  return { blob: new Blob(pieces, { type: response.headers.get("Content-Type") ?? "" }), headers: response.headers };
}

/** @param {Headers} headers @param {Uint8Array[]} pieces @param {number} whole_ms */
function noteLast(headers, pieces, whole_ms) {
  line.last = {
    bytes: pieces.reduce((sum, one) => sum + one.length, 0),
    type: headers.get("Content-Type") ?? "", quality: headers.get("Sivr-Quality") ?? "", whole_ms,
    parts: serverTime(headers).filter(([name]) => PARTS.has(name)),
  };
}

/**
 * A sheet of small pictures (GET …/filmstrip), as its encoded bytes, and the frames it could not show (from 1).
 * @param {RenderNode} node @param {string} path @param {AbortSignal} signal
 * @returns {Promise<{blob: Blob, missing: Set<number>}>}
 */
export async function sheet(node, path, signal) {
  const { blob, headers } = await carried(node, path, { signal, priority: "low" });
  return { blob, missing: new Set((headers.get("Sivr-Missing") ?? "").split(",").filter(Boolean).map(Number)) };
}

/** Pictures asked for by more than one at the same time are fetched once. @type {Map<string, Promise<Picture>>} */
const underWay = new Map();

/**
 * @param {RenderNode} node @param {string} path below the node's address, with its query
 * @param {{signal?: AbortSignal, viewKey?: string, keep?: boolean, priority?: RequestPriority, begun?: () => void}} [how]
 * @returns {Promise<Picture>}
 */
export async function picture(node, path, how = {}) {
  const key = node.base + path;
  const found = cache.get(key);
  if (found) return found;
  const { signal, viewKey, keep = true, priority, begun } = how;
  const running = signal ? undefined : underWay.get(key);
  if (running) return running;
  const work = (async () => {
    // The view key tells the node which requests replace each other; it does not belong to the picture.
    const asked = viewKey ? `${path}${path.includes("?") ? "&" : "?"}view=${viewKey}` : path;
    const { blob, headers } = await carried(node, asked, { signal, priority, begun });
    /** @type {ImageBitmap} */
    let bitmap;
    try {
      bitmap = await createImageBitmap(blob);
    } catch (error) {
      throw new Problem(String(error));
    }
    const complete = headers.get("Sivr-Complete") !== "no";
    /** @type {Picture} */
    const made = {
      bitmap, quality: headers.get("Sivr-Quality") ?? "", complete, bytes: blob.size,
      sampling: /** @type {Picture["sampling"]} */ (headers.get("Sivr-Sampling") ?? ""),
      warnings: warningsOf(headers.get("Warning") ?? ""),
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
 * Of everything asked for, the newest wins: a few requests run, the newest waits, the rest is forgotten.
 */
export class NewestWins {
  #number = 0;
  #shown = 0;
  /** @type {{number: number, slot: number, kind: string, controller: AbortController, started_ms: number}[]} */
  #running = [];
  /** @type {(() => void) | null} */
  #waiting = null;

  /** @param {number} [width] how many may run at once @param {number} [patience_ms] an older one is given up after that */
  constructor(width = 2, patience_ms = 400) {
    this.width = width;
    this.patience_ms = patience_ms;
  }

  /**
   * @template T
   * @param {(signal: AbortSignal, slot: number) => Promise<T>} work the slot tells those apart that run at once
   * @param {(result: T) => void} show called unless something newer was shown before
   * @param {(problem: Problem) => void} fail called only for the newest
   * @param {string} [kind] by which it can be left
   */
  ask(work, show, fail, kind = "") {
    const number = ++this.#number;
    const start = () => {
      const controller = new AbortController();
      const taken = new Set(this.#running.map((one) => one.slot));
      let slot = 0;
      while (taken.has(slot)) slot += 1;
      const entry = { number, slot, kind, controller, started_ms: performance.now() };
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

  /** Give up what runs of a kind. @param {string} kind */
  leave(kind) {
    for (const one of this.#running) if (one.kind === kind) one.controller.abort();
  }

  get busy() {
    return this.#running.length > 0;
  }

  cancel() {
    this.overtake();
    for (const one of this.#running) one.controller.abort();
  }
}
