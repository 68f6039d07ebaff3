// @ts-check
/**
 * Reading a stack: which picture to ask for now, which next, and what to show meanwhile. While the reader moves, a tile
 * of the film strip is shown at once, or a draft that fits the line; at rest the exact picture comes, on a slow line
 * after a sharp one that fits a quarter of a second; what is left behind is canceled; the rest is fetched ahead.
 */
import { NewestWins, abreast, kept, line, motionPlan, picture, restFormat } from "../net/pictures.js";
import { asProblem } from "../net/http.js";
import { restDelay } from "../model/strip-plan.js";
import { PLAIN, lookQuery, needsServer } from "../model/look.js";
import { parameter, same } from "../model/windows.js";
import { clamp } from "../lib/geometry.js";
import { FilmStrip } from "./film-strip.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../model/types.js").Window} Window */
/** @typedef {import("../net/pictures.js").Picture} Picture */
/** @typedef {{picture: Picture, index: number, window: Window | null, inverted: boolean, tile: number}} Shown tile: side of a film strip's tile, 0 for other pictures */

/** Where the window is dragged: longer than between two movements of a mouse. */
const REST_MS = 140;
const HELD_MS = 600;
/** Where pictures come as quickly as that, nothing has to stand in for them. */
const INSTANT_MS = 45;
/** Steps that are further apart belong to no movement. */
const PAUSE_MS = 500;
/** On a line that needs longer for the exact picture a sharp one comes before it. */
const LONG_MS = 450;
const SHARP_S = 0.25;
/** At rest for so long, neighbors may be worth their bytes. */
const DWELL_MS = 2500;
/** What a server spends on a slice, ms. */
const SLICE_MS = 20;
/** Of the table's lossless pictures: before any of this stack is known. */
const EXACT_BYTES_PER_PIXEL = 0.25;
/** Up to this many pixels a picture is always asked for as it is stored. */
const NATIVE_PIXELS = 1_400_000;
/** Longer side of pictures that the node enlarges. */
const LARGEST_PX = 2048;

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
  /** @type {import("../model/look.js").Look} */
  look = { ...PLAIN };
  /** @type {import("../model/formats.js").Format} */
  format = "auto";
  /** Device pixels along the longer side that the picture fills on the screen. */
  needed_px = 1024;
  /** @type {Shown | null} */
  shown = null;
  #direction = 1;
  /** Drafts that are on their way arrive: giving them up would only begin the wait anew. */
  #channel = new NewestWins(2, 800);
  #key = viewKey("stack");
  #restTimer = 0;
  #ahead = 0;
  /** What exact pictures of this stack weigh of late; 0 while unknown. */
  #exact_bytes = 0;
  #aheadController = new AbortController();
  #dwellTimer = 0;
  /** Whether the hand still drags what changes the look: then a moment without movement is no rest. */
  held = false;
  /** Between the last steps; Infinity after a pause. */
  #gap_ms = Infinity;
  #stepped_ms = -Infinity;
  /** @type {FilmStrip} */
  strip;

  /** @param {import("../net/node.js").RenderNode} node @param {string} study @param {SeriesContents} series */
  constructor(node, study, series) {
    super();
    this.node = node;
    this.study = study;
    this.series = series;
    this.index = Math.floor((series.frames.length - 1) / 2);
    this.strip = new FilmStrip(node, study, series);
    this.strip.addEventListener("sheet", () => this.#sheet());
  }

  get count() {
    return this.series.frames.length;
  }

  get frame() {
    return this.series.frames[this.index];
  }

  get #kind() {
    return this.series.color || this.look.palette || this.look.band ? "color" : "grey";
  }

  /** Parameters besides window and inversion that change how frames look. @returns {string[]} */
  get colors() {
    return lookQuery(this.look, this.series.color);
  }

  /** The parameters that say how frames are shown. @returns {string[]} */
  #lookQuery() {
    const query = [...this.colors];
    if (this.window && !this.series.color) query.push(`window=${parameter(this.window)}`);
    if (this.inverted) query.push("invert=yes");
    return query;
  }

  /** @param {number} index @param {string[]} options */
  #path(index, options) {
    const { instance_uid, frame } = this.series.frames[index];
    const query = [...options, ...this.#lookQuery()];
    return `/studies/${this.study}/series/${this.series.series_uid}/instances/${instance_uid}/frames/${frame}/rendered?${query.join("&")}`;
  }

  /** The exact picture. @param {number} index */
  restPath(index) {
    const { columns, rows } = this.series.frames[index];
    const options = restFormat(this.format, this.#kind);
    if (needsServer(this.look) && this.needed_px > Math.max(columns, rows)) {
      const k = Math.min(LARGEST_PX, Math.ceil(this.needed_px / 256) * 256) / Math.max(columns, rows);
      if (k > 1) options.push(`viewport=${Math.round(columns * k)},${Math.round(rows * k)}`, `interpolation=${this.look.interpolation}`);
    } else if (columns * rows > NATIVE_PIXELS) {
      const longer = Math.max(columns, rows);
      const wanted = Math.min(longer, Math.max(1024, Math.ceil(this.needed_px / 512) * 512));
      if (wanted < longer) options.push(`viewport=${Math.round((columns * wanted) / longer)},${Math.round((rows * wanted) / longer)}`);
    }
    return this.#path(index, options);
  }

  /** Every stored pixel, without loss. @param {number} index */
  exactPath(index) {
    return this.#path(index, ["accept=image/png"]);
  }

  /** A part of the frame at hand, without loss. @param {number} x @param {number} y @param {number} width @param {number} height in stored pixels */
  partPath(x, y, width, height) {
    return this.#path(this.index, ["accept=image/png", `viewport=${width},${height},${x},${y},${width},${height}`]);
  }

  /** A small one while something moves. @param {number} index */
  #draftPlan(index) {
    const { columns, rows } = this.series.frames[index];
    const plan = motionPlan(columns, rows, this.#kind);
    return { ...plan, path: this.#path(index, [`accept=${plan.type}`, `quality=${plan.quality}`, "draft=yes", `viewport=${plan.width},${plan.height}`]) };
  }

  /** As good a one as a quarter of a second brings; it says of itself what it is. @param {number} index */
  #sharpPlan(index) {
    const { columns, rows } = this.series.frames[index];
    const plan = motionPlan(columns, rows, this.#kind, line.goodput_bytes_s * SHARP_S);
    const options = [`accept=${plan.type}`, `quality=${plan.quality}`];
    if (plan.width < columns) options.push("draft=yes", `viewport=${plan.width},${plan.height}`);
    return { ...plan, path: this.#path(index, options) };
  }

  /** How long the exact picture would be on its way, ms. @param {number} index */
  #exactCarry(index) {
    const { columns, rows } = this.series.frames[index];
    return line.carry_ms(this.#exact_bytes || Math.min(columns * rows, NATIVE_PIXELS) * EXACT_BYTES_PER_PIXEL);
  }

  /** True where the exact picture comes as quickly as a draft would. @param {number} index */
  #quick(index) {
    return this.#exactCarry(index) < 100;
  }

  /** True where nobody would notice the wait for the exact picture. @param {number} index */
  #instant(index) {
    return this.#exactCarry(index) + line.round_trip_ms < INSTANT_MS;
  }

  /** @param {number} index */
  go(index) {
    const next = clamp(Math.round(index), 0, this.count - 1);
    if (next === this.index && this.shown?.index === next) return;
    if (next !== this.index) {
      this.#direction = next > this.index ? 1 : -1;
      const now = performance.now();
      const gap_ms = now - this.#stepped_ms;
      this.#gap_ms = gap_ms > PAUSE_MS ? Infinity : this.#gap_ms === Infinity ? gap_ms : (this.#gap_ms + gap_ms) / 2;
      this.#stepped_ms = now;
      // What is left behind would keep the line from what is wanted now.
      if (!this.#instant(next)) {
        this.#channel.cancel();
        this.#forgetAhead();
      }
    }
    this.index = next;
    this.ask();
  }

  /** @param {Window | null} window */
  setWindow(window) {
    if (same(window, this.window)) return;
    this.window = window;
    this.changed();
  }

  /** Something else about the picture changed (format, inversion, size). */
  changed() {
    this.#forgetAhead();
    this.ask();
  }

  ask() {
    clearTimeout(this.#restTimer);
    this.#restTimer = 0;
    clearTimeout(this.#dwellTimer);
    const { index, strip, shown } = this;
    [strip.index, strip.direction] = [index, this.#direction];
    const exact = kept(this.node, this.restPath(index));
    if (exact) {
      this.#channel.overtake();
      this.#show(exact, index, this.window, this.inverted);
      this.#planAhead();
    } else if (!shown) this.#rest();
    else if (shown.index === index && !shown.tile) this.#look();
    else this.#step();
  }

  /** Another slice: some picture of it now, the exact one when the hand rests. */
  #step() {
    if (this.#instant(this.index)) return this.#fetch(this.restPath(this.index));
    // A window can be adjusted here, colors cannot: tiles in others would be of no use.
    if (this.strip.colors !== this.colors.join()) this.#showStrip();
    this.#standIn();
    // While the reader moves, a sheet at a time: it brings this slice and those around it for what two drafts weigh.
    this.strip.fill(1);
    if (this.count < 3) this.#draft();
    const delay_ms = restDelay(this.#gap_ms, line.round_trip_ms, this.#exactCarry(this.index));
    this.#restTimer = window.setTimeout(() => this.#rest(), delay_ms);
    return undefined;
  }

  /** The same slice looks otherwise: what is on the screen is adjusted there, and the server follows as the line can. */
  #look() {
    // As many as travel at once, or the line would lie idle between two pictures.
    this.#channel.width = abreast(SLICE_MS);
    if (this.#quick(this.index)) return this.#fetch(this.restPath(this.index));
    this.strip.hold();
    // The exact picture in the former look would keep the line from the drafts in this one.
    this.#channel.leave("rest");
    this.#draft();
    this.#restTimer = window.setTimeout(() => this.#rest(), this.held ? HELD_MS : REST_MS);
    return undefined;
  }

  /** The hand that changed the look let go. */
  letGo() {
    this.held = false;
    if (!this.#restTimer) return;
    clearTimeout(this.#restTimer);
    this.#rest();
  }

  #sheet() {
    this.#standIn();
    const { shown, index } = this;
    if (shown?.index === index && !shown.tile && this.strip.complete) this.#planAhead();
  }

  /** Show the tile of the slice that is asked for, unless something as good is on the screen. */
  #standIn() {
    const { index, shown } = this;
    if (!shown || (shown.index === index && !shown.tile)) return;
    const tile = this.strip.tile(index, this.colors.join());
    if (!tile) return;
    const { window, inverted } = tile.look;
    if (shown.index === index && shown.tile >= tile.side && same(shown.window, window) && shown.inverted === inverted) return;
    const stand = { bitmap: tile.bitmap, quality: "preview", sampling: /** @type {const} */ (""), complete: true, bytes: 0, warnings: [] };
    this.#show(stand, index, window, inverted, tile.side);
  }

  /** A small one that fits the line. */
  #draft() {
    const plan = this.#draftPlan(this.index);
    this.#fetch(plan.path, { expected_bytes: plan.expected_bytes, keep: false });
  }

  /** The hand rests: the exact picture, and before it a sharp one where that takes long. */
  #rest() {
    const { index } = this;
    this.#restTimer = 0;
    this.strip.hold();
    const path = this.restPath(index);
    if (line.round_trip_ms + this.#exactCarry(index) < LONG_MS) return this.#fetch(path, { kind: "rest" });
    const plan = this.#sharpPlan(index);
    const had = kept(this.node, plan.path);
    if (had) {
      this.#show(had, index, this.window, this.inverted);
      return this.#fetch(path, { kind: "rest" });
    }
    // The question for the exact one travels while the sharp one comes.
    const begun = () => void (path === this.restPath(this.index) && this.#fetch(path, { kind: "rest" }));
    return this.#fetch(plan.path, { expected_bytes: plan.expected_bytes, begun, kind: "rest" });
  }

  /**
   * @param {string} path
   * @param {{expected_bytes?: number, keep?: boolean, begun?: () => void, kind?: "rest"}} [how] expected_bytes of a lossy
   *   picture by the table of costs; begun is called when it is on its way
   */
  #fetch(path, { expected_bytes = 0, keep, begun, kind } = {}) {
    const { index, window, inverted } = this;
    this.dispatchEvent(new Event("asking"));
    this.#channel.ask(
      (signal, slot) => picture(this.node, path, { signal, viewKey: `${this.#key}.${slot}`, priority: "high", keep, begun }),
      (found) => {
        if (expected_bytes) line.weighed(this.#kind, found.bytes / expected_bytes);
        else this.#exact_bytes = this.#exact_bytes ? 0.7 * this.#exact_bytes + 0.3 * found.bytes : found.bytes;
        // A tile of the slice that is wanted now is better than the best of another.
        if (index !== this.index && this.shown?.index === this.index) return;
        this.#show(found, index, window, inverted);
        if (!found.complete && index === this.index) {
          clearTimeout(this.#restTimer);
          this.#restTimer = globalThis.setTimeout(() => this.#fetch(this.restPath(this.index)), 600);
        } else if (path === this.restPath(this.index)) this.#planAhead();
      },
      (problem) => this.dispatchEvent(new CustomEvent("problem", { detail: problem })),
      kind,
    );
  }

  /** @param {Picture} found @param {number} index @param {Window | null} window @param {boolean} inverted @param {number} [tile] the side of a film strip's tile */
  #show(found, index, window, inverted, tile = 0) {
    this.shown = { picture: found, index, window, inverted, tile };
    this.dispatchEvent(new CustomEvent("shown", { detail: this.shown }));
  }

  #forgetAhead() {
    this.#aheadController.abort();
    this.#aheadController = new AbortController();
    this.#ahead = 0;
  }

  /**
   * At rest: the film strip in the look of now, then the exact neighbors, more ahead than behind and only while nothing
   * newer is asked for. Where the line is slow they come late: their bytes may be somebody's money.
   */
  #planAhead() {
    const { signal } = this.#aheadController;
    const { strip } = this;
    this.#showStrip();
    if (!this.#instant(this.index)) strip.fill(2);
    clearTimeout(this.#dwellTimer);
    if (this.#quick(this.index)) this.#neighbors(signal, line.budget_bytes > 100_000 ? 16 : 8);
    else this.#dwellTimer = globalThis.setTimeout(() => this.#neighbors(signal, 2), DWELL_MS);
  }

  /** The film strip in the look of now. */
  #showStrip() {
    this.strip.show({ query: this.#lookQuery(), window: this.window, inverted: this.inverted, colors: this.colors.join() });
  }

  /** @param {AbortSignal} signal @param {number} reach */
  #neighbors(signal, reach) {
    const next = () => {
      if (signal.aborted || this.#channel.busy) return undefined;
      // Some picture of every slice goes before the exact one of a few.
      if (!this.#instant(this.index) && !this.strip.complete) return undefined;
      for (let step = 1; step <= reach; step += 1) {
        const places = [this.index + this.#direction * step];
        if (step * 3 <= reach) places.push(this.index - this.#direction * step);
        for (const place of places) {
          if (place < 0 || place >= this.count) continue;
          const path = this.restPath(place);
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
    while (this.#ahead < (this.#quick(this.index) ? 2 : 1)) {
      this.#ahead += 1;
      run().finally(() => {
        if (!signal.aborted) this.#ahead -= 1;
      });
    }
  }

  /** @type {Set<string>} */
  #fetching = new Set();

  close() {
    clearTimeout(this.#restTimer);
    clearTimeout(this.#dwellTimer);
    this.strip.close();
    this.#channel.cancel();
    this.#aheadController.abort();
  }
}
