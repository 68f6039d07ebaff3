// @ts-check
/** One plane through a volume, with the lines of the other planes; and three of them around one point. */
import { fill, h, svg } from "../lib/dom.js";
import { STANDARD_VIEWS, clamp, dot, edgeLetters, minus, plus, times } from "../lib/geometry.js";
import { View } from "../lib/view.js";
import { number, t } from "../model/language.js";
import { dragged, ownWindows, parameter } from "../model/windows.js";
import { gestures } from "../tools/gestures.js";
import { addHands, byHands, handOver } from "../tools/hands.js";
import { viewKey } from "../tools/stack-reader.js";
import { RenderedPane } from "./rendered-pane.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {import("../model/types.js").Window} Window */
/** @typedef {import("../model/types.js").VolumeFacts} VolumeFacts */

const PLANES = { axial: "f", coronal: "a", sagittal: "l" };
const COLORS = { axial: "plane-axial", coronal: "plane-coronal", sagittal: "plane-sagittal" };
const text = (/** @type {number} */ value) => String(Number(value.toFixed(4)));
const triple = (/** @type {Vector} */ vector) => vector.map(text).join(",");

export class PlaneView extends RenderedPane {
  resource = "renderedmpr";
  key = viewKey("mpr");
  name = /** @type {keyof typeof PLANES} */ ("axial");
  /** @type {Planes | null} */
  planes = null;
  zoom = 1;
  pan = { right: 0, up: 0 };
  /** The window when the drag began. @type {Window | null} */
  grabbed = null;

  get tool() {
    return this.planes?.tool ?? "crosshair";
  }

  get axes() {
    return STANDARD_VIEWS[PLANES[this.name]];
  }

  get volume() {
    return /** @type {VolumeFacts} */ (this.series?.volume);
  }

  /** Size of the volume along a direction of the patient, mm. @param {Vector} direction */
  #along(direction) {
    return Math.abs(dot(/** @type {Vector} */ (direction.map(Math.abs)), this.volume.extent_mm));
  }

  /** Height of the picture in the patient, mm. */
  get fov_mm() {
    const high = this.#along(this.axes.up);
    const wide = this.#along(this.axes.right);
    return (Math.max(high, (wide * this.height) / this.width) * 1.04) / this.zoom;
  }

  /** How far the plane lies from the volume's center along the normal to the viewer, mm. */
  get offset_mm() {
    const planes = /** @type {Planes} */ (this.planes);
    return dot(minus(planes.point, this.volume.center), this.axes.back);
  }

  get half_mm() {
    return this.#along(this.axes.back) / 2;
  }

  start() {
    super.start();
    this.classList.add(COLORS[this.name]);
    this.setAttribute("aria-label", t(`plane.${this.name}`));
    this.dataset.hand = this.tool;
    gestures(this, {
      ...byHands(this, "planes", () => this.dispatchEvent(new CustomEvent("double", { bubbles: true }))),
      wheel: (steps) => this.step(-steps),
      zoom: (factor) => this.zoomBy(factor),
      shift: (dx, dy) => this.panBy(dx, dy),
    }, this.signal);
  }

  /** @param {number} factor */
  zoomBy(factor) {
    this.zoom = clamp(this.zoom * factor, 0.3, 30);
    this.move();
    this.written();
  }

  /** @param {number} dx @param {number} dy */
  panBy(dx, dy) {
    const mm = this.fov_mm / this.height;
    this.pan = { right: this.pan.right - dx * mm, up: this.pan.up + dy * mm };
    this.move();
    this.written();
  }

  /** Thickness of one step along this plane's normal: the smallest voxel side. */
  get step_mm() {
    return Math.min(...this.volume.spacing_mm.map((one) => Math.abs(one) || 1));
  }

  /** @param {number} steps toward the viewer */
  step(steps) {
    this.setOffset(this.offset_mm + steps * this.step_mm);
  }

  /** @param {number} offset_mm */
  setOffset(offset_mm) {
    const planes = /** @type {Planes} */ (this.planes);
    const wanted = clamp(offset_mm, -this.half_mm, this.half_mm);
    planes.setPoint(plus(planes.point, times(this.axes.back, wanted - this.offset_mm)));
  }

  /** @param {{x: number, y: number}} at CSS px within the view @returns {Vector} LPS mm on the plane */
  fromScreen(at) {
    const mm = this.fov_mm / this.height;
    const right = (at.x - this.width / 2) * mm + this.pan.right;
    const up = (this.height / 2 - at.y) * mm + this.pan.up;
    return plus(plus(plus(this.volume.center, times(this.axes.right, right)), times(this.axes.up, up)), times(this.axes.back, this.offset_mm));
  }

  /** @param {Vector} point LPS mm; off the plane it is projected along the normal @returns {{x: number, y: number}} CSS px within the view */
  toScreen(point) {
    const from = minus(point, this.volume.center);
    const px_per_mm = this.height / this.fov_mm;
    return {
      x: this.width / 2 + (dot(from, this.axes.right) - this.pan.right) * px_per_mm,
      y: this.height / 2 - (dot(from, this.axes.up) - this.pan.up) * px_per_mm,
    };
  }

  /** @param {{x: number, y: number}} at the other planes go through here */
  pointAt(at) {
    const half = times(this.volume.extent_mm, 0.5);
    const bounded = minus(this.fromScreen(at), this.volume.center).map((one, axis) => clamp(one, -half[axis], half[axis]));
    /** @type {Planes} */ (this.planes).setPoint(plus(this.volume.center, /** @type {Vector} */ (bounded)));
  }

  /** @override */
  query() {
    const lookat = plus(this.volume.center, times(this.axes.back, this.offset_mm));
    const position = plus(lookat, times(this.axes.back, 500));
    const options = [
      `viewpointposition=${triple(position)}`, `viewpointlookat=${triple(lookat)}`, `viewpointup=${triple(this.axes.up)}`,
      `fov=${text(this.fov_mm)}`, `pan=${text(this.pan.right)},${text(this.pan.up)}`,
    ];
    const window = this.planes?.window;
    if (window) options.push(`window=${parameter(window)}`);
    return options;
  }

  /** @override */
  view() {
    return { fov_mm: this.fov_mm, pan: { ...this.pan } };
  }

  /** @override */
  follow() {
    const { shown } = this;
    this.#cross();
    if (!shown) return;
    const { bitmap } = shown.picture;
    const cover = Math.max(this.width / bitmap.width, this.height / bitmap.height);
    const k = (cover * shown.view.fov_mm) / this.fov_mm;
    const px_per_mm = this.height / this.fov_mm;
    const dx = (shown.view.pan.right - this.pan.right) * px_per_mm;
    const dy = (this.pan.up - shown.view.pan.up) * px_per_mm;
    this.place(k, 0, 0, k, this.width / 2 + dx - (k * bitmap.width) / 2, this.height / 2 + dy - (k * bitmap.height) / 2);
  }

  /** Lines where the other two planes cut this one. */
  #cross() {
    const planes = /** @type {Planes} */ (this.planes);
    const { x, y } = this.toScreen(planes.point);
    const other = (/** @type {Vector} */ normal) => Object.entries(PLANES).find(([, letter]) => Math.abs(dot(STANDARD_VIEWS[letter].back, normal)) > 0.9)?.[0] ?? "axial";
    const lines = [
      svg("line", { x1: x, x2: x, y1: 0, y2: this.height, class: COLORS[/** @type {keyof typeof COLORS} */ (other(this.axes.right))] }),
      svg("line", { x1: 0, x2: this.width, y1: y, y2: y, class: COLORS[/** @type {keyof typeof COLORS} */ (other(this.axes.up))] }),
    ];
    this.layer.replaceChildren(...lines);
  }

  /** @override */
  written() {
    const window = this.planes?.windowNow;
    this.edges(edgeLetters(this.axes.right, times(this.axes.up, -1)));
    this.scale(this.fov_mm / this.height);
    this.corner("tl", [t(`plane.${this.name}`), `${number(this.offset_mm, 1)} mm`]);
    // One warning a corner: two would reach the letter between them where planes are small.
    const [first, ...others] = this.warnings(this.shown?.picture.warnings ?? []);
    this.corner("tr", [first]);
    this.corner("bl", others);
    this.corner("br", [
      window ? t("viewer.window", { center: number(window.center, 1), width: number(window.width, 1) }) : "",
      this.shown && !this.shown.picture.complete ? t("viewer.refining") : "",
      this.quality(this.exactness),
    ]);
    this.dispatchEvent(new Event("change"));
  }
}
customElements.define("sivr-plane-view", PlaneView);

/** @param {PlaneView} view */
const grab = (view) => {
  view.grabbed = view.planes?.windowNow ?? null;
};

addHands("planes", {
  crosshair: {
    begin: (/** @type {PlaneView} */ view, at) => view.pointAt(at),
    drag: (/** @type {PlaneView} */ view, move) => view.pointAt(move),
  },
  window: {
    begin: grab,
    drag: (/** @type {PlaneView} */ view, move) => {
      if (view.grabbed) view.planes?.setWindow(dragged(view.grabbed, move.x - move.fromX, move.y - move.fromY, view.series?.value_range ?? null));
    },
  },
  zoom: { drag: (/** @type {PlaneView} */ view, move) => view.zoomBy(Math.exp(-move.dy / 150)) },
  pan: { drag: (/** @type {PlaneView} */ view, move) => view.panBy(move.dx, move.dy) },
  scroll: { drag: (/** @type {PlaneView} */ view, move) => view.step(move.dy / 4) },
});

/** Axial, coronal and sagittal planes through one point. Fires "change". */
export class Planes extends View {
  kind = /** @type {const} */ ("planes");
  /** @type {import("../net/node.js").RenderNode | null} */
  node = null;
  study = "";
  /** @type {import("../model/types.js").SeriesContents | null} */
  series = null;
  #tool = "crosshair";
  format = /** @type {import("../model/formats.js").Format} */ ("auto");
  /** @type {Window | null} */
  window = null;
  /** @type {Vector} */
  point = [0, 0, 0];
  /** @type {PlaneView[]} */
  views = [];

  start() {
    this.classList.add("planes");
    const volume = this.series?.volume;
    if (!volume) return;
    this.point = [...volume.center];
    this.views = [];
    fill(this, /** @type {(keyof typeof PLANES)[]} */ (Object.keys(PLANES)).map((name) => {
      const view = /** @type {PlaneView} */ (document.createElement("sivr-plane-view"));
      Object.assign(view, { node: this.node, study: this.study, series: this.series, name, planes: this, format: this.format });
      this.views.push(view);
      const slider = h("input", {
        type: "range", class: "slice-slider", "aria-label": t(`plane.${name}`), min: -view.half_mm, max: view.half_mm, step: view.step_mm,
        value: 0, oninput: () => view.setOffset(Number(slider.value)),
      });
      view.addEventListener("change", () => (slider.value = String(view.offset_mm)));
      return h("div", { class: "plane" }, view, slider);
    }));
  }

  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    for (const view of this.views) handOver(view, "planes", this.#tool, tool);
    this.#tool = tool;
  }

  /** @returns {Window | null} */
  get windowNow() {
    return this.window ?? (this.series ? ownWindows(this.series)[0] ?? null : null);
  }

  /** The point all planes go through moved; fires "point". @param {Vector} point LPS mm */
  setPoint(point) {
    const before = this.point;
    this.point = point;
    this.dispatchEvent(new Event("point"));
    for (const view of this.views) {
      // Only planes that moved along their own normal need another picture; rounding must not leave one waiting.
      if (view.waiting || Math.abs(dot(minus(point, before), view.axes.back)) > 1e-6) view.move();
      else view.follow();
      view.written();
    }
  }

  /** @param {Window | null} window */
  setWindow(window) {
    this.window = window;
    for (const view of this.views) {
      view.move();
      view.written();
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @param {import("../model/formats.js").Format} format */
  setFormat(format) {
    this.format = format;
    for (const view of this.views) {
      view.format = format;
      view.ask();
    }
  }

  /** What a double click does where no cell is to be enlarged. */
  home() {
    for (const view of this.views) {
      view.zoom = 1;
      view.pan = { right: 0, up: 0 };
      view.move();
      view.written();
    }
  }

  reset() {
    for (const view of this.views) {
      view.zoom = 1;
      view.pan = { right: 0, up: 0 };
    }
    this.point = [...(this.series?.volume?.center ?? this.point)];
    this.setWindow(null);
  }
}
customElements.define("sivr-planes", Planes);
