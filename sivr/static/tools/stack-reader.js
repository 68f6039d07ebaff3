// @ts-check
/**
 * Reading a stack: which picture to ask for now, which next, and what to show meanwhile. While the reader moves, small
 * drafts fit the line; at rest the exact picture comes; neighbors in the direction of travel are fetched ahead.
 */
import { NewestWins, kept, line, motionPlan, picture, restFormat } from "../net/pictures.js";
import { asProblem } from "../net/http.js";
import { parameter, same } from "../model/windows.js";
import { clamp } from "../lib/geometry.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../model/types.js").Window} Window */
/** @typedef {import("../net/pictures.js").Picture} Picture */
/** @typedef {{picture: Picture, index: number, window: Window | null, inverted: boolean}} Shown */

const REST_MS = 140;
/** Up to this many pixels a picture is always asked for as it is stored. */
const NATIVE_PIXELS = 1_400_000;

let lastKey = 0;
const TAB = Math.random().toString(36).slice(2, 8);
/** A key for one view of this tab. @param {string} kind */
export const viewKey = (kind) => `${kind}-${TAB}-${(lastKey += 1)}`;

/** Fires "shown" (detail Shown), "problem" (detail Problem), "asking". */
export class StackReader extends EventTarget {
  index = 0;
  /** null: as the file says. @type {Window | null} */
  window = null;
  inverted = false;
  /** @type {import("../model/formats.js").Format} */
  format = "auto";
  /** Device pixels along the longer side that the picture fills on the screen. */
  needed_px = 1024;
  /** @type {Shown | null} */
  shown = null;
  #direction = 1;
  #channel = new NewestWins(2);
  #key = viewKey("stack");
  #restTimer = 0;
  #ahead = 0;
  /** What exact pictures of this stack weigh of late; 0 while unknown. */
  #exact_bytes = 0;
  #aheadController = new AbortController();

  /** @param {import("../net/node.js").RenderNode} node @param {string} study @param {SeriesContents} series */
  constructor(node, study, series) {
    super();
    this.node = node;
    this.study = study;
    this.series = series;
    this.index = Math.floor((series.frames.length - 1) / 2);
  }

  get count() {
    return this.series.frames.length;
  }

  get frame() {
    return this.series.frames[this.index];
  }

  get #kind() {
    return this.series.color ? "color" : "grey";
  }

  /** @param {number} index @param {string[]} options */
  #path(index, options) {
    const { instance_uid, frame } = this.series.frames[index];
    const query = [...options];
    if (this.window && !this.series.color) query.push(`window=${parameter(this.window)}`);
    if (this.inverted) query.push("invert=yes");
    return `/studies/${this.study}/series/${this.series.series_uid}/instances/${instance_uid}/frames/${frame}/rendered?${query.join("&")}`;
  }

  /** The exact picture. @param {number} index */
  restPath(index) {
    const { columns, rows } = this.series.frames[index];
    const options = restFormat(this.format, this.#kind);
    if (columns * rows > NATIVE_PIXELS) {
      const longer = Math.max(columns, rows);
      const wanted = Math.min(longer, Math.max(1024, Math.ceil(this.needed_px / 512) * 512));
      if (wanted < longer) options.push(`viewport=${Math.round((columns * wanted) / longer)},${Math.round((rows * wanted) / longer)}`);
    }
    return this.#path(index, options);
  }

  /** A small one while something moves. @param {number} index */
  #draftPath(index) {
    const { columns, rows } = this.series.frames[index];
    const plan = motionPlan(columns, rows, this.#kind);
    return this.#path(index, [`accept=${plan.type}`, `quality=${plan.quality}`, "draft=yes", `viewport=${plan.width},${plan.height}`]);
  }

  /** True where the exact picture comes as quickly as a draft would. @param {number} index */
  #quick(index) {
    const { columns, rows } = this.series.frames[index];
    const expected = this.#exact_bytes || Math.min(columns * rows, NATIVE_PIXELS) * 0.4;
    return expected < line.budget_bytes;
  }

  /** @param {number} index */
  go(index) {
    const next = clamp(Math.round(index), 0, this.count - 1);
    if (next === this.index && this.shown?.index === next) return;
    if (next !== this.index) this.#direction = next > this.index ? 1 : -1;
    this.index = next;
    this.ask();
  }

  /** @param {Window | null} window */
  setWindow(window) {
    if (same(window, this.window)) return;
    this.window = window;
    this.#forgetAhead();
    this.ask();
  }

  /** Something else about the picture changed (format, inversion, size). */
  changed() {
    this.#forgetAhead();
    this.ask();
  }

  ask() {
    clearTimeout(this.#restTimer);
    const { index } = this;
    const exact = kept(this.node, this.restPath(index));
    if (exact) {
      this.#channel.overtake();
      this.#show(exact, index, this.window, this.inverted);
      this.#planAhead();
      return;
    }
    if (this.#quick(index)) {
      this.#fetch(this.restPath(index));
      return;
    }
    const draft = kept(this.node, this.#draftPath(index));
    if (draft) {
      this.#channel.overtake();
      this.#show(draft, index, this.window, this.inverted);
    } else this.#fetch(this.#draftPath(index));
    // Only when the hand rests: the exact picture would keep a slow line busy that the next draft needs.
    this.#restTimer = window.setTimeout(() => this.#fetch(this.restPath(this.index)), REST_MS);
  }

  /** @param {string} path */
  #fetch(path) {
    const { index, window, inverted } = this;
    this.dispatchEvent(new Event("asking"));
    this.#channel.ask(
      (signal, slot) => picture(this.node, path, { signal, viewKey: `${this.#key}.${slot}`, priority: "high" }),
      (found) => {
        this.#show(found, index, window, inverted);
        if (!path.includes("draft=yes")) this.#exact_bytes = this.#exact_bytes ? 0.7 * this.#exact_bytes + 0.3 * found.bytes : found.bytes;
        if (!found.complete && index === this.index) {
          clearTimeout(this.#restTimer);
          this.#restTimer = globalThis.setTimeout(() => this.#fetch(this.restPath(this.index)), 600);
        } else this.#planAhead();
      },
      (problem) => this.dispatchEvent(new CustomEvent("problem", { detail: problem })),
    );
  }

  /** @param {Picture} found @param {number} index @param {Window | null} window @param {boolean} inverted */
  #show(found, index, window, inverted) {
    this.shown = { picture: found, index, window, inverted };
    this.dispatchEvent(new CustomEvent("shown", { detail: this.shown }));
  }

  #forgetAhead() {
    this.#aheadController.abort();
    this.#aheadController = new AbortController();
    this.#ahead = 0;
  }

  /**
   * Fetch neighbors: more ahead than behind, and only while nothing newer is asked for. On a slow line a film strip of
   * drafts.
   */
  #planAhead() {
    const { signal } = this.#aheadController;
    const reach = line.budget_bytes > 100_000 ? 16 : 8;
    const next = () => {
      if (signal.aborted || this.#channel.busy) return undefined;
      for (let step = 1; step <= reach; step += 1) {
        const places = [this.index + this.#direction * step];
        if (step * 3 <= reach) places.push(this.index - this.#direction * step);
        for (const place of places) {
          if (place < 0 || place >= this.count) continue;
          const path = this.#quick(place) ? this.restPath(place) : this.#draftPath(place);
          if (!kept(this.node, path) && !this.#fetching.has(path)) return path;
        }
      }
      return undefined;
    };
    const run = async () => {
      for (let path = next(); path; path = next()) {
        this.#fetching.add(path);
        try {
          await picture(this.node, path, { signal, priority: "low" });
        } catch (error) {
          // The reader will hear of it when the frame itself is asked for.
          if (!asProblem(error).canceled) return;
        } finally {
          this.#fetching.delete(path);
        }
      }
    };
    while (this.#ahead < 2) {
      this.#ahead += 1;
      const mine = signal;
      run().finally(() => {
        if (!mine.aborted) this.#ahead -= 1;
      });
    }
  }

  /** @type {Set<string>} */
  #fetching = new Set();

  close() {
    clearTimeout(this.#restTimer);
    this.#channel.cancel();
    this.#aheadController.abort();
  }
}
