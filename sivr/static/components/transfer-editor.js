// @ts-check
/**
 * A transfer function drawn over the histogram of the volume: points are dragged, moved by keys, added by a double click
 * and removed by Delete. Heights are square roots, for most opacities are small.
 */
import { fill, h, svg } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { clamp } from "../lib/geometry.js";
import { View } from "../lib/view.js";
import { number, t } from "../model/language.js";
import { MOST_POINTS, colorOf, colored } from "../model/volume-look.js";

/** @typedef {import("../model/volume-look.js").Point} Point */
/** @typedef {import("../model/volume-look.js").Transfer} Transfer */

const WIDE = 348;
const HIGH = 170;
const EDGE = 10;

/** Fires "change" whenever the function did. */
export class TransferEditor extends View {
  /** @type {Transfer} */
  transfer = { relative: false, points: [] };
  /** @type {import("../net/volumes.js").Histogram | null} */
  histogram = null;
  /** Modality values that a relative function calls 0 and 1. @type {[number, number]} */
  ends = [0, 1];
  /** The point whose numbers stand below. */
  chosen = 0;
  #drawing = svg("svg", { class: "transfer-drawing", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "group", "aria-label": t("volume.transfer") });
  #fields = h("div", { class: "transfer-fields" });

  start() {
    this.classList.add("transfer-editor");
    fill(this, this.#drawing, this.#fields);
    this.listen(this.#drawing, "dblclick", (event) => this.#add(this.#at(event)));
    this.draw();
  }

  /** Values at the left and right end. @returns {[number, number]} */
  get #range() {
    const values = this.transfer.points.map((point) => point[0]);
    const { histogram, ends } = this;
    if (histogram) {
      const scaled = [histogram.low, histogram.high].map((one) => (this.transfer.relative ? (one - ends[0]) / (ends[1] - ends[0] || 1) : one));
      values.push(...(this.transfer.relative ? [Math.max(scaled[0], -0.2), Math.min(scaled[1], 1.5)] : scaled));
    }
    return [Math.min(...values), Math.max(...values)];
  }

  /** @param {MouseEvent} event @returns {Point} without a color */
  #at(event) {
    const box = this.#drawing.getBoundingClientRect();
    const [low, high] = this.#range;
    const x = clamp((((event.clientX - box.left) / box.width) * WIDE - EDGE) / (WIDE - 2 * EDGE), 0, 1);
    const y = clamp(1 - (((event.clientY - box.top) / box.height) * HIGH - EDGE) / (HIGH - 2 * EDGE), 0, 1);
    return [low + x * (high - low), 1, 1, 1, y * y];
  }

  /** @param {Point} point @returns {[number, number]} */
  #place(point) {
    const [low, high] = this.#range;
    return [EDGE + ((point[0] - low) / (high - low || 1)) * (WIDE - 2 * EDGE), EDGE + (1 - Math.sqrt(point[4])) * (HIGH - 2 * EDGE)];
  }

  draw() {
    const { points } = this.transfer;
    if (points.length < 2) return;
    this.chosen = clamp(this.chosen, 0, points.length - 1);
    const held = this.#drawing.contains(document.activeElement);
    const places = points.map((point) => this.#place(point));
    const line = places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
    const areas = places.slice(1).map(([x, y], n) => {
      const [x0, y0] = places[n];
      return svg("polygon", { points: `${x0},${HIGH - EDGE} ${x0},${y0} ${x},${y} ${x},${HIGH - EDGE}`, fill: `#${colorOf(points[n + 1])}`, class: "transfer-area" });
    });
    const marks = places.map(([x, y], n) => {
      const mark = svg("circle", {
        cx: x, cy: y, r: n === this.chosen ? 8 : 6, fill: `#${colorOf(points[n])}`, class: n === this.chosen ? "transfer-point chosen" : "transfer-point", tabindex: 0,
        role: "slider", "data-point": n, "aria-label": t("volume.point.of", { index: n + 1, count: points.length }),
        "aria-valuenow": Number(points[n][4].toFixed(3)), "aria-valuemin": 0, "aria-valuemax": 1,
        "aria-valuetext": t("volume.point.at", { value: number(points[n][0], 2), opacity: number(points[n][4], 3) }),
      });
      mark.addEventListener("pointerdown", (event) => this.#grab(/** @type {PointerEvent} */ (event), n));
      mark.addEventListener("keydown", (event) => this.#key(/** @type {KeyboardEvent} */ (event), n));
      mark.addEventListener("focus", () => {
        if (this.chosen !== n) this.#choose(n);
      });
      return mark;
    });
    this.#drawing.replaceChildren(this.#bars(), ...areas, svg("polyline", { points: line.join(" "), class: "transfer-line" }), ...marks);
    this.#drawFields();
    if (held) marks[this.chosen].focus({ preventScroll: true });
  }

  #bars() {
    const { histogram } = this;
    if (!histogram) return svg("path", { d: "" });
    const most = Math.log1p(Math.max(...histogram.counts, 1));
    const step = (histogram.high - histogram.low) / histogram.counts.length;
    const [low, high] = this.#range;
    const parts = histogram.counts.map((count, n) => {
      let value = histogram.low + (n + 0.5) * step;
      if (this.transfer.relative) value = (value - this.ends[0]) / (this.ends[1] - this.ends[0] || 1);
      if (!count || value < low || value > high) return "";
      const x = EDGE + ((value - low) / (high - low || 1)) * (WIDE - 2 * EDGE);
      return `M${x.toFixed(1)} ${HIGH - EDGE}V${(HIGH - EDGE - (Math.log1p(count) / most) * (HIGH - 2 * EDGE)).toFixed(1)}`;
    });
    return svg("path", { d: parts.join(""), class: "histogram" });
  }

  #drawFields() {
    const point = this.transfer.points[this.chosen];
    const value = h("input", { type: "number", step: "any", value: String(Number(point[0].toFixed(3))), onchange: () => this.#set(this.chosen, Number(value.value), point[4]) });
    const opacity = h("input", { type: "number", step: "0.01", min: "0", max: "1", value: String(Number(point[4].toFixed(3))), onchange: () => this.#set(this.chosen, point[0], Number(opacity.value)) });
    const color = h("input", { type: "color", value: `#${colorOf(point)}`, oninput: () => {
      this.transfer.points[this.chosen] = colored(this.transfer.points[this.chosen], color.value);
      this.#changed(false);
    } });
    fill(this.#fields,
      h("label", {}, t("volume.value"), value), h("label", {}, t("volume.opacity"), opacity), h("label", {}, t("volume.color"), color),
      h("button", { type: "button", class: "quiet icon-only", title: t("volume.point.add"), "aria-label": t("volume.point.add"), "data-tool": "point-add", onclick: () => this.#beside() }, icon("add")),
      h("button", { type: "button", class: "quiet icon-only", title: t("volume.point.remove"), "aria-label": t("volume.point.remove"), "data-tool": "point-remove", onclick: () => this.#remove(this.chosen) }, icon("close")));
  }

  /** @param {PointerEvent} event @param {number} n */
  #grab(event, n) {
    event.preventDefault();
    this.#choose(n);
    const mark = /** @type {SVGElement} */ (this.#drawing.querySelector(`[data-point="${n}"]`));
    mark.focus({ preventScroll: true });
    const over = new AbortController();
    document.addEventListener("pointermove", (move) => {
      const [value, , , , opacity] = this.#at(move);
      this.#set(n, value, opacity);
    }, { signal: over.signal });
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => over.abort(), { signal: over.signal });
    this.signal.addEventListener("abort", () => over.abort(), { signal: over.signal });
  }

  /** @param {KeyboardEvent} event @param {number} n */
  #key(event, n) {
    const point = this.transfer.points[n];
    const [low, high] = this.#range;
    const step = ((high - low) / 200) * (event.shiftKey ? 10 : 1);
    const rise = event.shiftKey ? 0.1 : 0.01;
    if (event.key === "ArrowLeft") this.#set(n, point[0] - step, point[4]);
    else if (event.key === "ArrowRight") this.#set(n, point[0] + step, point[4]);
    else if (event.key === "ArrowUp") this.#set(n, point[0], point[4] + rise);
    else if (event.key === "ArrowDown") this.#set(n, point[0], point[4] - rise);
    else if (event.key === "Delete" || event.key === "Backspace") this.#remove(n);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} n */
  #choose(n) {
    this.chosen = n;
    this.draw();
    /** @type {SVGElement | null} */ (this.#drawing.querySelector(`[data-point="${n}"]`))?.focus({ preventScroll: true });
  }

  /** A point stays between its neighbors. @param {number} n @param {number} value @param {number} opacity */
  #set(n, value, opacity) {
    const { points } = this.transfer;
    const [low, high] = this.#range;
    const least = (high - low) / 1000;
    if (!Number.isFinite(value) || !Number.isFinite(opacity)) return;
    const point = /** @type {Point} */ ([...points[n]]);
    point[0] = clamp(value, (points[n - 1]?.[0] ?? -Infinity) + least, (points[n + 1]?.[0] ?? Infinity) - least);
    point[4] = clamp(opacity, 0, 1);
    points[n] = point;
    this.#changed();
  }

  /** @param {Point} point a place; its color is what is there now */
  #add(point) {
    const { points } = this.transfer;
    const n = points.findIndex((one) => one[0] > point[0]);
    if (points.length >= MOST_POINTS) return;
    const [a, b] = n <= 0 ? [points.at(n) ?? point, points.at(n) ?? point] : [points[n - 1], points[n]];
    const part = a === b ? 0 : (point[0] - a[0]) / (b[0] - a[0]);
    for (const channel of [1, 2, 3]) point[channel] = a[channel] + part * (b[channel] - a[channel]);
    const at = n < 0 ? points.length : n;
    points.splice(at, 0, point);
    this.chosen = at;
    this.#changed();
  }

  /** A new point between the chosen one and the next. */
  #beside() {
    const { points } = this.transfer;
    const n = Math.min(this.chosen, points.length - 2);
    const [a, b] = [points[n], points[n + 1]];
    this.#add([(a[0] + b[0]) / 2, 1, 1, 1, (a[4] + b[4]) / 2]);
  }

  /** @param {number} n */
  #remove(n) {
    if (this.transfer.points.length < 3) return;
    this.transfer.points.splice(n, 1);
    this.chosen = Math.max(0, n - 1);
    this.#changed();
  }

  /** @param {boolean} [all] */
  #changed(all = true) {
    if (all) this.draw();
    this.dispatchEvent(new Event("change"));
  }
}
customElements.define("sivr-transfer-editor", TransferEditor);
