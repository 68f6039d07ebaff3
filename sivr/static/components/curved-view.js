// @ts-check
/** What lies along the drawn curve, straightened or stretched; the wheel turns about the curve. */
import { afterPause, svg } from "../lib/dom.js";
import { clamp, dot, length, letters, minus, plus, times } from "../lib/geometry.js";
import { number, t } from "../model/language.js";
import { viewKey } from "../tools/stack-reader.js";
import { FlatPane, text, triple } from "./flat-pane.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {{at_mm: number, center: Vector, up: Vector, curve_mm: number}} Place */
/** @typedef {{length_mm: number, curve_mm: number, points_mm: number[], places: Place[]}} Course */

const LEAST_MM = 30;
const TURN_DEG = 5;
const ASK_MS = 120;

export class CurvedView extends FlatPane {
  key = viewKey("curve");
  /** How the curve runs through the picture, as the server says. @type {Course | null} */
  course = null;
  #asked = "";

  constructor() {
    super();
    const { move } = this;
    // Windows and slabs change before there is a curve, too.
    this.move = () => {
      if (this.#drawn) move();
    };
  }

  start() {
    super.start();
    this.classList.add("curved");
    this.setAttribute("aria-label", t("curve"));
    this.changed();
  }

  stop() {
    this.#ask.cancel();
    super.stop();
  }

  /** Whether there is a curve to be shown. */
  get #drawn() {
    return (this.planes?.curve.points.length ?? 0) >= 2;
  }

  /** The curve was drawn otherwise. */
  changed() {
    if (this.#drawn) {
      this.#ask();
      this.move();
    } else {
      this.course = null;
      this.shown = null;
      this.clear();
      this.say(t("curve.hint"));
    }
    this.written();
  }

  /** @override @param {boolean} first */
  resized(first) {
    if (this.#drawn) super.resized(first);
  }

  /** @override */
  ask() {
    if (this.#drawn) super.ask();
  }

  get #length_mm() {
    return this.course?.length_mm ?? this.planes?.curveLength_mm ?? 1;
  }

  /** @override */
  get whole_mm() {
    return Math.max((this.#length_mm * 1.04 * this.height) / this.width, LEAST_MM);
  }

  #curveOptions() {
    const { points, form, turn_deg } = /** @type {import("./planes.js").Planes} */ (this.planes).curve;
    return [`curve=${points.map(triple).join(";")}`, `curveform=${form}`, `curveturn=${text(turn_deg)}`];
  }

  /** @override */
  lies() {
    return this.#curveOptions();
  }

  /** Where the columns lie, for the crosshair; pictures do not wait for it. */
  #ask = afterPause(ASK_MS, async () => {
    const wanted = this.#curveOptions().join("&");
    if (!this.isConnected || wanted === this.#asked || !this.node || !this.series) return;
    this.#asked = wanted;
    try {
      const found = await this.node.curve(this.study, this.series.series_uid, wanted, this.signal);
      if (wanted !== this.#asked) return;
      this.course = found;
      this.move();
      this.written();
    } catch (error) {
      // Its picture says what is wrong with it.
      console.info("no course of the curve:", String(error));
    }
  });

  /** The place that is seen in a column. @param {number} at_mm @returns {Place | null} */
  #place(at_mm) {
    const { course } = this;
    if (!course?.places.length) return null;
    const step = course.length_mm / (course.places.length - 1);
    return course.places[clamp(Math.round(at_mm / step), 0, course.places.length - 1)];
  }

  /** @param {{x: number, y: number}} at CSS px @returns {Vector | null} LPS mm */
  fromScreen(at) {
    const mm = this.fov_mm / this.height;
    const place = this.#place(this.#length_mm / 2 + this.pan.right + (at.x - this.width / 2) * mm);
    return place ? plus(place.center, times(place.up, this.pan.up + (this.height / 2 - at.y) * mm)) : null;
  }

  /** @param {number} at_mm @param {number} above_mm @returns {{x: number, y: number}} CSS px */
  #screen(at_mm, above_mm) {
    const px_per_mm = this.height / this.fov_mm;
    return {
      x: this.width / 2 + (at_mm - this.#length_mm / 2 - this.pan.right) * px_per_mm,
      y: this.height / 2 - (above_mm - this.pan.up) * px_per_mm,
    };
  }

  /** @override @param {{x: number, y: number}} at */
  take(at) {
    const point = this.fromScreen(at);
    if (point && this.planes?.tool === "crosshair") this.planes.setPoint(point);
  }

  /** @override @param {import("../tools/gestures.js").Move} move */
  carry(move) {
    this.take(move);
  }

  /** @override @param {number} steps */
  step(steps) {
    const { curve } = /** @type {import("./planes.js").Planes} */ (this.planes);
    this.planes?.setCurve({ ...curve, turn_deg: (((curve.turn_deg + steps * TURN_DEG) % 360) + 360) % 360 });
  }

  /** @override */
  draw() {
    const { course, planes } = this;
    if (!course || !planes) {
      this.layer.replaceChildren();
      return;
    }
    /** @type {SVGElement[]} */
    const made = [];
    for (const [n, at_mm] of course.points_mm.entries()) {
      const place = /** @type {Place} */ (this.#place(at_mm));
      const { x, y } = this.#screen(at_mm, place.curve_mm);
      made.push(svg("circle", { cx: x, cy: y, r: n ? 4 : 6, class: "knot" }));
    }
    // The crosshair, at the column that is nearest to it.
    const nearest = course.places.reduce((best, place) => (this.#away(place) < this.#away(best) ? place : best));
    const above = dot(minus(planes.point, nearest.center), nearest.up);
    const { x, y } = this.#screen(nearest.at_mm, above);
    made.push(svg("line", { x1: x, x2: x, y1: 0, y2: this.height, class: "curve-place" }));
    if (this.#away(nearest) < 3) made.push(svg("line", { x1: x - 10, x2: x + 10, y1: y, y2: y, class: "curve-place" }));
    this.layer.replaceChildren(...made);
  }

  /** How far the crosshair is from the line of a column. @param {Place} place */
  #away(place) {
    const from = minus(/** @type {import("./planes.js").Planes} */ (this.planes).point, place.center);
    return length(minus(from, times(place.up, dot(from, place.up))));
  }

  /** @override */
  written() {
    const { planes } = this;
    if (!planes) return;
    const { form, turn_deg } = planes.curve;
    const up = this.#place(this.#length_mm / 2 + this.pan.right)?.up;
    this.edges(up ? { left: "", right: "", top: letters(up), bottom: letters(times(up, -1)) } : null);
    this.scale(this.fov_mm / this.height);
    if (!this.#drawn) {
      this.scale(null);
      for (const where of /** @type {const} */ (["tr", "bl", "br"])) this.corner(where, []);
      this.corner("tl", [t("curve")]);
      return;
    }
    this.corner("tl", [`${t("curve")} · ${t(`curve.form.${form}`)}`, turn_deg ? t("curve.turned", { angle: number(turn_deg, 0) }) : ""]);
    this.corner("tr", [this.warnings(this.shown?.picture.warnings ?? [])[0]]);
    this.corner("bl", [t("curve.length", { mm: number(this.course?.curve_mm ?? planes.curveLength_mm, 1) })]);
    this.corner("br", this.state());
    this.dispatchEvent(new Event("change"));
  }
}
customElements.define("sivr-curved-view", CurvedView);
