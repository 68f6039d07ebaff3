// @ts-check
/**
 * Three planes through one point of a volume, at right angles to each other and turned together; a fourth field for the
 * volume or for what lies along a drawn curve. Slab, colors and a second series over the first are common to all.
 */
import { afterPause, fill, h } from "../lib/dom.js";
import { clamp, dot, length, minus } from "../lib/geometry.js";
import { View } from "../lib/view.js";
import { CLOSEST_MM, lengthOf, spline } from "../model/curves.js";
import { number, t } from "../model/language.js";
import { PLAIN, isColored } from "../model/look.js";
import "../model/messages/planes.js";
import { ownWindows } from "../model/windows.js";
import { handOver } from "../tools/hands.js";
import { PLANE_NAMES, isStandard, standardAxes, turnedAbout } from "../tools/plane-axes.js";
import "./curved-view.js";
import { text, windowOption } from "./flat-pane.js";
import "./plane-view.js";
import "./volume-view.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {import("../model/types.js").Window} Window */
/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("./plane-view.js").PlaneView} PlaneView */
/** @typedef {import("./curved-view.js").CurvedView} CurvedView */
/** @typedef {import("./flat-pane.js").FlatPane} FlatPane */
/** @typedef {"average_ip" | "maximum_ip" | "minimum_ip"} SlabMethod */
/** @typedef {{points: Vector[], form: "straightened" | "stretched", turn_deg: number}} Curve */
/** @typedef {{series: SeriesContents, window: Window | null, palette: string, opacity: number, hidden: boolean}} Over */

export const SLAB_METHODS = /** @type {SlabMethod[]} */ (["average_ip", "maximum_ip", "minimum_ip"]);
export const OVER_PALETTE = "hot-iron";
const MOST_SLAB_MM = 500;
const ASK_VALUES_MS = 140;
const TAP_PX = 4;
const NO_CURVE = /** @type {Curve} */ ({ points: [], form: "straightened", turn_deg: 0 });

/** Fires "change", and "point" when the point that all planes go through moved. */
export class Planes extends View {
  kind = /** @type {const} */ ("planes");
  /** @type {import("../net/node.js").RenderNode | null} */
  node = null;
  study = "";
  /** @type {SeriesContents | null} */
  series = null;
  texts = { tl: [], tr: [] };
  #tool = "crosshair";
  format = /** @type {import("../model/formats.js").Format} */ ("auto");
  /** @type {Window | null} */
  window = null;
  inverted = false;
  /** Colors and highlighted values; the rest of it is of frames. */
  look = PLAIN;
  /** Where the planes begin; null: in the middle. @type {Vector | null} */
  at = null;
  /** @type {Vector} */
  point = [0, 0, 0];
  axes = standardAxes();
  slab_mm = 0;
  method = /** @type {SlabMethod} */ ("average_ip");
  /** @type {Over | null} */
  over = null;
  curve = NO_CURVE;
  /** The curve as it is drawn. @type {Vector[]} */
  curveLine = [];
  /** @type {PlaneView[]} */
  views = [];
  fourth = /** @type {"" | "volume" | "curve"} */ ("");
  /** What the volume in the fourth field begins with. @type {Record<string, any>} */
  volumeSettings = {};
  /** @type {CurvedView | null} */
  curved = null;
  /** Sentences on the values at the crosshair. @type {string[]} */
  told = [];
  /** Which plane says them. */
  spokesman = "axial";
  #fourthField = h("div", { class: "plane fourth", hidden: true });

  start() {
    this.classList.add("planes");
    const volume = this.series?.volume;
    if (!volume) return;
    this.point = [...(this.at ?? volume.center)];
    this.views = [];
    fill(this, PLANE_NAMES.map((name) => {
      const view = /** @type {PlaneView} */ (document.createElement("sivr-plane-view"));
      Object.assign(view, { node: this.node, study: this.study, series: this.series, name, planes: this, format: this.format });
      this.views.push(view);
      const slider = h("input", {
        type: "range", class: "slice-slider", "aria-label": t(`plane.${name}`), min: -view.half_mm, max: view.half_mm, step: "any",
        value: 0, oninput: () => view.setOffset(Number(slider.value)),
      });
      view.addEventListener("change", () => {
        [slider.min, slider.max] = [String(-view.half_mm), String(view.half_mm)];
        slider.value = String(view.offset_mm);
        slider.setAttribute("aria-valuetext", `${number(view.offset_mm, 1)} mm`);
      });
      return h("div", { class: "plane", "data-plane": name }, view, slider);
    }), this.#fourthField);
    this.#makeRoom();
    this.#askValues();
  }

  stop() {
    this.#askValues.cancel();
  }

  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    for (const view of this.flat) handOver(view, "planes", this.#tool, tool);
    this.#tool = tool;
    this.#makeRoom();
    for (const view of this.flat) {
      view.follow();
      view.written();
    }
  }

  /** The field of the curve is there before its first point: planes must not change their size under the hand. */
  #makeRoom() {
    if (!this.views.length) return;
    const wanted = this.#tool === "curve" || this.curve.points.length >= 2;
    if (wanted && this.fourth !== "curve" && (this.#tool === "curve" || !this.fourth)) this.show("curve");
    else if (!wanted && this.fourth === "curve") this.show("");
  }

  /** All panes of planes, the curved one too. @returns {FlatPane[]} */
  get flat() {
    return this.curved ? [...this.views, this.curved] : this.views;
  }

  /** @returns {Window | null} */
  get windowNow() {
    return this.window ?? (this.series ? ownWindows(this.series)[0] ?? null : null);
  }

  /** Whether pictures come in color. */
  get colored() {
    return isColored(this.look) || !!(this.over && !this.over.hidden);
  }

  /** What lies over, and how it is windowed; in SUV where that is known. */
  get overText() {
    const { over } = this;
    if (!over || over.hidden || !over.window) return "";
    const { center, width } = over.window;
    const suv = suvOf(over.series);
    const shown = suv
      ? t("fusion.suv.range", { low: number((center - width / 2) * suv, 1), high: number((center + width / 2) * suv, 1) })
      : t("viewer.window", { center: number(center, 1), width: number(width, 1) });
    return `${over.series.modality} ${shown}`;
  }

  /** What the toolbar says of them. */
  get offers() {
    return [this.slab_mm, this.method, this.inverted, this.look.palette, this.fourth, this.curve.form, this.curve.points.length > 0, this.over?.series.series_uid, this.over?.palette].join();
  }

  /** Whether a plane is turned away from the body's axes. */
  get oblique() {
    return PLANE_NAMES.some((name) => !isStandard(name, this.axes[name]));
  }

  /** The parameters that all planes have in common. @returns {string[]} */
  options() {
    const found = [];
    if (this.window) found.push(windowOption(this.window));
    if (this.inverted) found.push("invert=yes");
    if (this.look.palette) found.push(`palette=${this.look.palette}`);
    if (this.look.band) found.push(`threshold=${this.look.band.low},${this.look.band.high}`);
    if (this.slab_mm) found.push(`mprslab=${text(this.slab_mm)}`, `renderingmethod=${this.method}`);
    const { over } = this;
    if (over && !over.hidden) {
      found.push(`overlay_series=${over.series.series_uid}`, `overlay_palette=${over.palette}`, `overlay_opacity=${text(over.opacity)}`);
      if (over.window) found.push(`overlay_${windowOption(over.window)}`);
    }
    return found;
  }

  /** Another picture of every plane that can be seen. */
  #all() {
    for (const view of this.flat) {
      if (view.offsetParent) view.move();
      view.written();
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Vector} point LPS mm */
  setPoint(point) {
    const before = this.point;
    this.point = point;
    this.dispatchEvent(new Event("point"));
    for (const view of this.views) {
      // Only planes that moved along their own normal need another picture; rounding must not leave one waiting.
      if (view.offsetParent && (view.waiting || Math.abs(dot(minus(point, before), view.axes.back)) > 1e-6)) view.move();
      else view.follow();
      view.written();
    }
    this.curved?.follow();
    this.#askValues();
  }

  /**
   * Turn the two other planes about the normal of one, through the crosshair.
   * @param {PlaneView} view @param {number} angle radians, counterclockwise for its viewer
   */
  turnAbout(view, angle) {
    const next = turnedAbout(this.axes, view.name, angle);
    for (const other of this.views) if (other !== view) other.around(this.point, () => (this.axes = { ...this.axes, [other.name]: next[other.name] }));
    view.follow();
    this.#all();
  }

  /** Along the body again. */
  straighten() {
    const next = standardAxes();
    for (const view of this.views) view.around(this.point, () => (this.axes = { ...this.axes, [view.name]: next[view.name] }));
    this.#all();
  }

  /** @param {number} mm 0 for a thin plane @param {boolean} [done] */
  setSlab(mm, done = true) {
    this.slab_mm = Number.isFinite(mm) ? clamp(mm, 0, MOST_SLAB_MM) : 0;
    this.#all();
    if (done) for (const view of this.views) view.follow();
  }

  /** @param {SlabMethod} method */
  setMethod(method) {
    this.method = method;
    this.#all();
  }

  /** @param {Window | null} window */
  setWindow(window) {
    this.window = window;
    for (const view of this.flat) view.follow();
    this.#all();
  }

  invert() {
    this.inverted = !this.inverted;
    for (const view of this.flat) view.follow();
    this.#all();
  }

  /** @param {Partial<import("../model/look.js").Look>} change */
  setLook(change) {
    this.look = { ...this.look, ...change };
    this.#all();
  }

  /** @param {Over | null} over */
  setOver(over) {
    this.over = over;
    this.#all();
    this.#askValues();
  }

  // The curve

  get curveLength_mm() {
    return lengthOf(this.curveLine);
  }

  /** @param {Vector} point LPS mm, behind the last one @param {boolean} [between] on the curve: between the two it lies between */
  addKnot(point, between = false) {
    const { points } = this.curve;
    const detour = (/** @type {number} */ n) => length(minus(points[n], point)) + length(minus(points[n + 1], point)) - length(minus(points[n + 1], points[n]));
    let at = points.length;
    if (between) for (let n = 0; n + 1 < points.length; n += 1) if (at === points.length || detour(n) < detour(at - 1)) at = n + 1;
    const near = (/** @type {Vector | undefined} */ other) => !!other && length(minus(other, point)) < CLOSEST_MM;
    if (near(points[at - 1]) || near(points[at])) return;
    this.setCurve({ ...this.curve, points: [...points.slice(0, at), point, ...points.slice(at)] });
  }

  /** @param {number} index @param {Vector} point */
  moveKnot(index, point) {
    const { points } = this.curve;
    const near = (/** @type {Vector | undefined} */ other) => !!other && length(minus(other, point)) < CLOSEST_MM;
    if (near(points[index - 1]) || near(points[index + 1])) return;
    this.setCurve({ ...this.curve, points: points.map((one, n) => (n === index ? point : one)) });
  }

  /** Take the last point back. */
  dropKnot() {
    this.setCurve({ ...this.curve, points: this.curve.points.slice(0, -1) });
  }

  /** @param {Curve} [curve] */
  setCurve(curve = NO_CURVE) {
    const before = this.curve.points.length;
    this.curve = curve;
    this.curveLine = spline(curve.points);
    this.#makeRoom();
    this.curved?.changed();
    for (const view of this.views) view.follow();
    if (before !== curve.points.length) this.dispatchEvent(new Event("change"));
  }

  // The fourth field

  /** @param {"" | "volume" | "curve"} what */
  show(what) {
    this.fourth = what;
    this.dataset.fourth = what;
    this.#fourthField.hidden = !what;
    this.curved = null;
    const common = { node: this.node, study: this.study, series: this.series, format: this.format };
    if (what === "volume") {
      const view = /** @type {any} */ (document.createElement("sivr-volume-view"));
      Object.assign(view, { ...common, ...this.volumeSettings });
      this.#pickIn(view);
      fill(this.#fourthField, view);
    } else if (what === "curve") {
      const view = /** @type {CurvedView} */ (document.createElement("sivr-curved-view"));
      Object.assign(view, { ...common, planes: this });
      this.curved = view;
      fill(this.#fourthField, view);
    } else fill(this.#fourthField);
    this.dispatchEvent(new Event("change"));
  }

  /** A click into the volume, which is no drag, takes the planes to what is seen there. @param {any} view */
  #pickIn(view) {
    let from = { x: 0, y: 0 };
    view.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => (from = { x: event.clientX, y: event.clientY }));
    view.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0 || Math.hypot(event.clientX - from.x, event.clientY - from.y) > TAP_PX || view.tool === "pick") return;
      const box = view.getBoundingClientRect();
      view.pickAt?.({ x: event.clientX - box.left, y: event.clientY - box.top }, false);
    });
    view.addEventListener("point", () => view.point && this.setPoint(view.point));
  }

  /** One pane fills the field, or all are shown again. @param {Element} view */
  enlarge(view) {
    const field = view.closest(".plane");
    const large = !field?.classList.contains("large");
    for (const one of this.querySelectorAll(".plane")) one.classList.toggle("large", large && one === field);
    this.classList.toggle("one", large);
  }

  // Values at the crosshair

  #askValues = afterPause(ASK_VALUES_MS, async () => {
    const { node, series, point } = this;
    if (!this.isConnected || !node || !series) return;
    const over = this.over && !this.over.hidden ? this.over.series.series_uid : "";
    try {
      const { items } = await node.values(this.study, series.series_uid, [point], over, this.signal);
      if (point !== this.point) return;
      this.told = items.map((/** @type {any} */ item) => {
        const [{ value }] = item.points;
        if (value === null) return "";
        const suv = item.suv_bw === null || item.suv_bw === undefined ? "" : ` · SUV ${number(value * item.suv_bw, 2)}`;
        return `${number(value, Math.abs(value) < 10 ? 2 : 0)} ${item.units}${suv}`;
      }).filter(Boolean);
    } catch {
      // Pictures say what is wrong; an old value must not stand beside a new point.
      this.told = [];
    }
    for (const view of this.views) if (view.name === this.spokesman) view.written();
  });

  /** @param {import("../model/formats.js").Format} format */
  setFormat(format) {
    this.format = format;
    for (const view of this.flat) {
      view.format = format;
      view.ask();
    }
  }

  /** What a double click does where no cell is to be enlarged. */
  home() {
    for (const view of this.flat) view.home();
  }

  reset() {
    this.axes = standardAxes();
    for (const view of this.flat) {
      view.zoom = 1;
      view.pan = { right: 0, up: 0 };
    }
    this.point = [...(this.series?.volume?.center ?? this.point)];
    this.inverted = false;
    this.look = PLAIN;
    this.slab_mm = 0;
    this.setWindow(null);
    this.#askValues();
  }
}
customElements.define("sivr-planes", Planes);

/** The factor to SUV of a series, where it is known. @param {SeriesContents} series @returns {number | null} */
export const suvOf = (series) => series.scales?.find((one) => one.suv_bw)?.suv_bw ?? null;

/** The window of a PET that shows these SUV. @param {number} high @param {number} suv_bw @returns {Window} */
export const suvWindow = (high, suv_bw) => ({ center: high / suv_bw / 2, width: high / suv_bw, function: "linear-exact" });
