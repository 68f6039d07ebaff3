// @ts-check
/** What flat and curved planes share: a picture in millimeters that is panned, zoomed and windowed under the hand at once. */
import { clamp } from "../lib/geometry.js";
import { number, t } from "../model/language.js";
import { echo, parameter, same } from "../model/windows.js";
import { gestures } from "../tools/gestures.js";
import { byHands } from "../tools/hands.js";
import { RenderedPane } from "./rendered-pane.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {import("../model/types.js").Window} Window */

const MIN_ZOOM = 0.3;
const MAX_ZOOM = 30;

export const text = (/** @type {number} */ value) => String(Number(value.toFixed(4)));
/** @param {Vector} vector */
export const triple = (vector) => vector.map(text).join(",");

export class FlatPane extends RenderedPane {
  resource = "renderedmpr";
  /** @type {import("./planes.js").Planes | null} */
  planes = null;
  zoom = 1;
  pan = { right: 0, up: 0 };
  /** The window when the drag began. @type {Window | null} */
  grabbed = null;

  get tool() {
    return this.planes?.tool ?? "crosshair";
  }

  /** Height of the picture in the patient when nobody has zoomed, mm. */
  get whole_mm() {
    return 1;
  }

  /** Height of the picture in the patient, mm. */
  get fov_mm() {
    return this.whole_mm / this.zoom;
  }

  start() {
    super.start();
    this.dataset.hand = this.tool;
    gestures(this, {
      ...byHands(this, "planes", () => this.planes?.enlarge(this)),
      wheel: (steps) => this.step(-steps),
      zoom: (factor, at) => this.zoomBy(factor, at),
      shift: (dx, dy) => this.panBy(dx, dy),
    }, this.signal);
  }

  /** @param {number} _steps toward the viewer */
  step(_steps) {}

  /** The hand of the crosshair begins at a place. @param {{x: number, y: number}} _at CSS px within the view */
  take(_at) {}

  /** It moves. @param {import("../tools/gestures.js").Move} _move */
  carry(_move) {}

  release() {}

  /** The mouse moves without a button. @param {{x: number, y: number}} _at */
  hover(_at) {}

  /** @param {number} factor @param {{x: number, y: number}} [at] what stays where it is */
  zoomBy(factor, at) {
    const before = this.fov_mm / this.height;
    this.zoom = clamp(this.zoom * factor, MIN_ZOOM, MAX_ZOOM);
    if (at) {
      const less = before - this.fov_mm / this.height;
      this.pan = { right: this.pan.right + (at.x - this.width / 2) * less, up: this.pan.up + (this.height / 2 - at.y) * less };
    }
    this.move();
    this.written();
  }

  /** @param {number} dx @param {number} dy CSS px */
  panBy(dx, dy) {
    const mm = this.fov_mm / this.height;
    this.pan = { right: this.pan.right - dx * mm, up: this.pan.up + dy * mm };
    this.move();
    this.written();
  }

  home() {
    this.zoom = 1;
    this.pan = { right: 0, up: 0 };
    this.move();
    this.written();
  }

  /** Where the picture lies. @returns {string[]} */
  lies() {
    return [];
  }

  /** @override */
  query() {
    return [...this.lies(), `fov=${text(this.fov_mm)}`, `pan=${text(this.pan.right)},${text(this.pan.up)}`, ...(this.planes?.options() ?? [])];
  }

  /** @override @returns {"grey" | "color"} */
  get colors() {
    return this.planes?.colored ? "color" : "grey";
  }

  /** @override */
  view() {
    return { fov_mm: this.fov_mm, pan: { ...this.pan }, window: this.planes?.windowNow ?? null, inverted: !!this.planes?.inverted };
  }

  /** @override */
  follow() {
    const { shown } = this;
    this.draw();
    if (!shown) return;
    const { bitmap } = shown.picture;
    const cover = Math.max(this.width / bitmap.width, this.height / bitmap.height);
    const k = (cover * shown.view.fov_mm) / this.fov_mm;
    const px_per_mm = this.height / this.fov_mm;
    const dx = (shown.view.pan.right - this.pan.right) * px_per_mm;
    const dy = (this.pan.up - shown.view.pan.up) * px_per_mm;
    this.place(k, 0, 0, k, this.width / 2 + dx - (k * bitmap.width) / 2, this.height / 2 + dy - (k * bitmap.height) / 2);
    this.#brighten();
  }

  /** The picture at hand, adjusted to the window that is wanted; colors wait for the server. */
  #brighten() {
    const had = this.shown?.view.window;
    const wanted = this.planes?.windowNow;
    if (!had || !wanted || this.colors === "color") {
      this.echo(null);
      return;
    }
    const inverted = this.shown?.view.inverted !== !!this.series?.inverted;
    const line = same(had, wanted) ? { slope: 1, intercept: 0 } : echo(had, wanted, inverted);
    this.echo(this.shown?.view.inverted === !!this.planes?.inverted ? line : { slope: -line.slope, intercept: 1 - line.intercept });
  }

  /** What lies over the picture: lines, points. */
  draw() {}

  /** The lines of the lower right corner. @returns {(string | Node)[]} */
  state() {
    const planes = /** @type {import("./planes.js").Planes} */ (this.planes);
    const window = planes.windowNow;
    const slab = planes.slab_mm ? `${t("slab.mm", { mm: number(planes.slab_mm, 1) })} ${t(`slab.short.${planes.method}`)}` : "";
    return [
      slab,
      planes.overText,
      window ? t("viewer.window", { center: number(window.center, 1), width: number(window.width, 1) }) : "",
      this.shown && !this.shown.picture.complete ? t("viewer.refining") : "",
      this.quality(this.exactness),
    ];
  }
}

/** @param {Window} window */
export const windowOption = (window) => `window=${parameter(window)}`;
