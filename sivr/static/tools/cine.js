// @ts-check
/** Playing frames: which comes next, and when. */
import { clamp } from "../lib/geometry.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */

export const SLOWEST_FPS = 0.5;
export const FASTEST_FPS = 60;
/** Where the file says nothing. */
const USUAL_MS = 80;

export class Cine {
  /** null: as the file says. @type {number | null} */
  fps = null;
  /** Back and forth rather than from the beginning again. */
  bounce = false;
  /** First and last frame that are played, from 0. */
  first = 0;
  last = 0;
  /** Whether its controls are shown. */
  open = false;
  #way = 1;

  /** @param {SeriesContents} series */
  constructor(series) {
    this.series = series;
    this.last = series.frames.length - 1;
  }

  /** Frames per second as they will be played. */
  get rate() {
    return this.fps ?? 1000 / this.#own_ms;
  }

  get #own_ms() {
    const { cine_rate_hz, frame_time_ms } = this.series;
    return clamp(cine_rate_hz ? 1000 / cine_rate_hz : frame_time_ms || USUAL_MS, 1000 / FASTEST_FPS, 1000 / SLOWEST_FPS);
  }

  /** How long a frame is shown. Times that the file tells frame by frame are kept. @param {number} index */
  pause_ms(index) {
    if (this.fps) return 1000 / this.fps;
    const [now, next] = [this.series.frames[index]?.time_ms, this.series.frames[index + 1]?.time_ms];
    if (!this.series.cine_rate_hz && typeof now === "number" && typeof next === "number" && next > now) return clamp(next - now, 1000 / FASTEST_FPS, 1000 / SLOWEST_FPS);
    return this.#own_ms;
  }

  /** @param {number} index @returns {number} */
  next(index) {
    const { first, last } = this;
    if (first >= last || index < first || index > last) return first;
    if (!this.bounce) return index === last ? first : index + 1;
    if (index >= last) this.#way = -1;
    if (index <= first) this.#way = 1;
    return index + this.#way;
  }

  /** @param {number} factor */
  hurry(factor) {
    this.setRate(this.rate * factor);
  }

  /** @param {number} fps */
  setRate(fps) {
    this.fps = Math.round(clamp(fps, SLOWEST_FPS, FASTEST_FPS) * 10) / 10;
  }

  /** @param {number} first @param {number} last from 0 */
  setRange(first, last) {
    const end = this.series.frames.length - 1;
    this.first = clamp(Math.min(first, last), 0, end);
    this.last = clamp(Math.max(first, last), 0, end);
  }

  get whole() {
    return this.first === 0 && this.last === this.series.frames.length - 1;
  }
}
