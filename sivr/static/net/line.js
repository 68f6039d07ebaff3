// @ts-check
/**
 * The line to the servers, measured by what is carried over it anyway: how many bytes a second arrive, how long an
 * answer takes to come back, what is under way. Everything that adapts to the line asks here.
 */

/** @typedef {import("../model/formats.js").Likeness} Likeness */
/**
 * @typedef {object} Carried the last picture, for the curious
 * @property {number} bytes
 * @property {string} type
 * @property {string} quality as the server says
 * @property {number} whole_ms from the asking to the last byte
 * @property {[string, number][]} parts what the server says its time went to, in ms
 */

/** Browsers never tell of more. */
const MOST_TOLD_MBIT_S = 9;
const MOST_BYTES_S = 50_000_000;
/** Fewer bytes arrive in one piece and say nothing of the rate. */
const TELLING_BYTES = 6000;
/** So many times quicker than known. */
const SURPRISING = 2;
const KEPT_SAMPLES = 60;
const told = /** @type {any} */ (navigator).connection;

/**
 * How quickly the page itself arrived: the first thing known of a line. 0 where it came from a cache.
 * @param {PerformanceResourceTiming[]} entries
 */
export function rateOf(entries) {
  const carried = entries.filter((one) => one.transferSize > 300 && one.responseStart > 0);
  const bytes = carried.reduce((sum, one) => sum + one.transferSize, 0);
  let [busy_ms, until] = [0, 0];
  for (const one of carried.sort((a, b) => a.responseStart - b.responseStart)) {
    busy_ms += Math.max(0, one.responseEnd - Math.max(until, one.responseStart));
    until = Math.max(until, one.responseEnd);
  }
  return bytes < 20_000 || busy_ms < 20 ? 0 : (bytes * 1000) / busy_ms;
}

/** Fires "change" when a transfer begins or ends. */
class Line extends EventTarget {
  // A page that came quickly tells little, one that came slowly much: the browser's own figure bounds it.
  goodput_bytes_s = Math.min(
    told?.downlink > 0 && told.downlink < MOST_TOLD_MBIT_S ? (told.downlink * 1e6) / 8 : 4_000_000,
    rateOf(/** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"))) || Infinity,
  );
  round_trip_ms = told?.rtt > 0 ? Math.min(told.rtt, 300) : 30;
  /** Requests that wait for their answer or are being answered. */
  requests = 0;
  /** Requests that were given up before all of their answer was here, and what had arrived of them. */
  given_up = { requests: 0, bytes: 0 };
  received_bytes = 0;
  /** When somebody last moved a view whose every picture is the server's: nothing is fetched ahead meanwhile. */
  moved_ms = -Infinity;
  /** @type {Carried | null} */
  last = null;
  /** Goodput of late, bytes a second. @type {number[]} */
  history = [];
  /** What pictures weigh against the table of costs, by kind. @type {Record<string, number>} */
  weights = { grey: 1, color: 1 };
  #bodies = 0;
  #since = 0;
  #busy_ms = 0;
  #bytes = 0;
  #surprises = 0;

  /** Bytes a picture may have so that ten arrive in a second. */
  get budget_bytes() {
    return this.goodput_bytes_s / 10;
  }

  /** True where something nobody has asked for may be fetched without keeping the line from what comes next. @param {number} bytes */
  spares(bytes) {
    return bytes < this.goodput_bytes_s * 3;
  }

  /** How long so many bytes would take once they are on their way, ms. @param {number} bytes */
  carry_ms(bytes) {
    return (bytes * 1000) / this.goodput_bytes_s;
  }

  /** A request begins. */
  begin() {
    const started = performance.now();
    let [bytes, open] = [0, false];
    let first_ms = 0;
    this.requests += 1;
    this.dispatchEvent(new Event("change"));
    return {
      /** The head of the answer is here. @param {Headers} headers */
      head: (headers) => {
        first_ms = performance.now() - started;
        this.#answered(first_ms - serverTime(headers).reduce((sum, [name, ms]) => sum + (PARTS.has(name) ? ms : 0), 0));
        open = true;
        if (this.#bodies++ === 0) this.#since = performance.now();
      },
      /** @param {number} count bytes that arrived */
      received: (count) => {
        bytes += count;
        this.#bytes += count;
        this.received_bytes += count;
      },
      /** @param {boolean} whole whether all of it is here */
      end: (whole) => {
        this.requests -= 1;
        if (open && --this.#bodies === 0) this.#measured();
        if (!whole) {
          this.given_up.requests += 1;
          this.given_up.bytes += bytes;
        }
        this.dispatchEvent(new Event("change"));
        return performance.now() - started;
      },
    };
  }

  /** @param {number} took_ms */
  #answered(took_ms) {
    const ms = Math.max(1, took_ms);
    // Answers that come late have waited behind others: what is quick is the line's own.
    this.round_trip_ms += (ms < this.round_trip_ms ? 0.5 : 0.1) * (ms - this.round_trip_ms);
  }

  #measured() {
    this.#busy_ms += performance.now() - this.#since;
    if (this.#bytes < TELLING_BYTES) return;
    const rate = Math.min((this.#bytes * 1000) / Math.max(this.#busy_ms, 1), MOST_BYTES_S);
    [this.#bytes, this.#busy_ms] = [0, 0];
    // A page that was busy meanwhile hears of head and body at once: what is far too quick is believed when it is so again.
    this.#surprises = rate > SURPRISING * this.goodput_bytes_s ? this.#surprises + 1 : 0;
    if (this.#surprises === 1 || this.#surprises === 2) return;
    this.goodput_bytes_s += 0.3 * (rate - this.goodput_bytes_s);
    this.history = [...this.history, this.goodput_bytes_s].slice(-KEPT_SAMPLES);
  }

  /** A picture weighed more or less than the table of costs says. @param {"grey" | "color"} kind @param {number} part */
  weighed(kind, part) {
    this.weights[kind] = clampWeight(this.weights[kind] + 0.3 * (part - this.weights[kind]));
  }
}

/** @param {number} weight */
const clampWeight = (weight) => Math.min(8, Math.max(0.2, weight));

/** What a server's time consists of; other names in Server-Timing are parts of these. */
export const PARTS = new Set(["queue", "load", "decode", "render", "encode"]);

/** @param {Headers} headers @returns {[string, number][]} names and ms of a Server-Timing header */
export function serverTime(headers) {
  return (headers.get("Server-Timing") ?? "").split(",").flatMap((entry) => {
    const found = /^\s*([\w-]+)\s*;\s*dur=([\d.]+)/.exec(entry);
    return found ? [/** @type {[string, number]} */ ([found[1], Number(found[2])])] : [];
  });
}

export const line = new Line();
