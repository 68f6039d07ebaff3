// @ts-check
/** One plane through a volume, with the lines of the other planes, their handles, and the curve as it is drawn. */
import { svg } from "../lib/dom.js";
import { clamp, dot, edgeLetters, minus, plus, times } from "../lib/geometry.js";
import { number, t } from "../model/language.js";
import { dragged } from "../model/windows.js";
import { addHands } from "../tools/hands.js";
import { PLANE_NAMES, isStandard, meeting, standardAxes, stepAlong } from "../tools/plane-axes.js";
import { viewKey } from "../tools/stack-reader.js";
import { FlatPane, triple } from "./flat-pane.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {import("../model/types.js").VolumeFacts} VolumeFacts */
/** @typedef {import("../tools/plane-axes.js").PlaneName} PlaneName */
/** @typedef {{x: number, y: number}} Point CSS px within the view */
/** @typedef {{what: "turn" | "slab", plane: PlaneName, at: Point} | {what: "knot", index: number, at: Point} | {what: "point"}} Grip */

/** @type {Record<PlaneName, string>} */
const COLORS = { axial: "plane-axial", coronal: "plane-coronal", sagittal: "plane-sagittal" };
/** Where along a line its handles are, in parts of the shorter side. */
const TURN_AT = 0.36;
const SLAB_AT = 0.2;
const MARGIN_PX = 20;
const REACH_PX = 16;
const ON_CURVE_PX = 7;
/** Points of a curve farther from the plane are drawn faintly. */
const NEAR_MM = 3;

export class PlaneView extends FlatPane {
  key = viewKey("mpr");
  name = /** @type {PlaneName} */ ("axial");
  /** @type {Grip | null} */
  #held = null;

  get axes() {
    return (this.planes?.axes ?? standardAxes())[this.name];
  }

  get volume() {
    return /** @type {VolumeFacts} */ (this.series?.volume);
  }

  /** Size of the volume along a direction of the patient, mm. @param {Vector} direction */
  #along(direction) {
    return Math.abs(dot(/** @type {Vector} */ (direction.map(Math.abs)), this.volume.extent_mm));
  }

  /** That of the plane along the body: turning changes no sizes. @override */
  get whole_mm() {
    const { up, right } = standardAxes()[this.name];
    return Math.max(this.#along(up), (this.#along(right) * this.height) / this.width) * 1.04;
  }

  /** How far the plane lies from the volume's center along the normal to the viewer, mm. */
  get offset_mm() {
    const planes = /** @type {import("./planes.js").Planes} */ (this.planes);
    return dot(minus(planes.point, this.volume.center), this.axes.back);
  }

  get half_mm() {
    return this.#along(this.axes.back) / 2;
  }

  /** Distance of voxels along this plane's normal. */
  get step_mm() {
    return stepAlong(this.volume, this.axes.back);
  }

  start() {
    super.start();
    this.classList.add(COLORS[this.name]);
    this.setAttribute("aria-label", t(`plane.${this.name}`));
  }

  /** @override @param {number} steps toward the viewer */
  step(steps) {
    this.setOffset(this.offset_mm + steps * this.step_mm);
  }

  /** @param {number} offset_mm */
  setOffset(offset_mm) {
    const planes = /** @type {import("./planes.js").Planes} */ (this.planes);
    const wanted = clamp(offset_mm, -this.half_mm, this.half_mm);
    planes.setPoint(plus(planes.point, times(this.axes.back, wanted - this.offset_mm)));
  }

  /** @param {Point} at @returns {Vector} LPS mm on the plane */
  fromScreen(at) {
    const mm = this.fov_mm / this.height;
    const right = (at.x - this.width / 2) * mm + this.pan.right;
    const up = (this.height / 2 - at.y) * mm + this.pan.up;
    return plus(plus(plus(this.volume.center, times(this.axes.right, right)), times(this.axes.up, up)), times(this.axes.back, this.offset_mm));
  }

  /** @param {Vector} point LPS mm; off the plane it is projected along the normal @returns {Point} */
  toScreen(point) {
    const from = minus(point, this.volume.center);
    const px_per_mm = this.height / this.fov_mm;
    return {
      x: this.width / 2 + (dot(from, this.axes.right) - this.pan.right) * px_per_mm,
      y: this.height / 2 - (dot(from, this.axes.up) - this.pan.up) * px_per_mm,
    };
  }

  /** Keep a point where it is on the screen although the plane is turned. @param {Vector} point @param {() => void} turn */
  around(point, turn) {
    const before = this.toScreen(point);
    turn();
    const after = this.toScreen(point);
    const mm = this.fov_mm / this.height;
    this.pan = { right: this.pan.right + (after.x - before.x) * mm, up: this.pan.up - (after.y - before.y) * mm };
  }

  /** @param {Point} at the other planes go through here */
  pointAt(at) {
    const half = times(this.volume.extent_mm, 0.5);
    const bounded = minus(this.fromScreen(at), this.volume.center).map((one, axis) => clamp(one, -half[axis], half[axis]));
    this.planes?.setPoint(plus(this.volume.center, /** @type {Vector} */ (bounded)));
  }

  /** @override */
  lies() {
    const lookat = plus(this.volume.center, times(this.axes.back, this.offset_mm));
    const position = plus(lookat, times(this.axes.back, 500));
    return [`viewpointposition=${triple(position)}`, `viewpointlookat=${triple(lookat)}`, `viewpointup=${triple(this.axes.up)}`];
  }

  // Lines and handles

  /** Where another plane cuts this one: a point of it and its direction on the screen. @param {PlaneName} other */
  #line(other) {
    const planes = /** @type {import("./planes.js").Planes} */ (this.planes);
    const direction = meeting(this.axes, planes.axes[other]);
    return { at: this.toScreen(planes.point), x: dot(direction, this.axes.right), y: -dot(direction, this.axes.up) };
  }

  /** Both handles of a line, as far out as the field allows. @param {PlaneName} other @param {number} part of the shorter side @returns {Point[]} */
  #ends(other, part) {
    const line = this.#line(other);
    const wanted = part * Math.min(this.width, this.height);
    return [1, -1].map((side) => {
      const [x, y] = [line.x * side, line.y * side];
      // From the crosshair to the margin of the field, along the line.
      const room = Math.min(
        x > 0 ? (this.width - MARGIN_PX - line.at.x) / x : x < 0 ? (MARGIN_PX - line.at.x) / x : Infinity,
        y > 0 ? (this.height - MARGIN_PX - line.at.y) / y : y < 0 ? (MARGIN_PX - line.at.y) / y : Infinity,
      );
      const reach = clamp(wanted, 0, Math.max(room, 0));
      return { x: line.at.x + x * reach, y: line.at.y + y * reach };
    });
  }

  get #others() {
    return PLANE_NAMES.filter((name) => name !== this.name);
  }

  /** Half of the slab on the screen. */
  get #slab_px() {
    return ((this.planes?.slab_mm ?? 0) / 2) * (this.height / this.fov_mm);
  }

  /** Handles that make the slab thicker. @param {PlaneName} other @returns {Point[]} */
  #slabEnds(other) {
    const line = this.#line(other);
    return this.#ends(other, SLAB_AT).flatMap((end) => [1, -1].map((side) => ({ x: end.x - line.y * this.#slab_px * side, y: end.y + line.x * this.#slab_px * side })));
  }

  /** What is under the pointer. @param {Point} at @returns {Grip} */
  grip(at) {
    const near = (/** @type {Point} */ point) => Math.hypot(point.x - at.x, point.y - at.y) <= REACH_PX;
    const knots = this.planes?.curve.points ?? [];
    const index = this.planes?.tool === "curve" ? knots.findIndex((knot) => near(this.toScreen(knot))) : -1;
    if (index >= 0) return { what: "knot", index, at };
    if (this.planes?.tool === "crosshair") {
      const cross = this.toScreen(this.planes.point);
      for (const plane of this.#others) {
        // Handles that have no room lie on the crosshair, which goes first.
        if (this.#ends(plane, TURN_AT).some((end) => near(end) && Math.hypot(end.x - cross.x, end.y - cross.y) > 2 * REACH_PX)) return { what: "turn", plane, at };
        if (this.planes.slab_mm && this.#slabEnds(plane).some(near)) return { what: "slab", plane, at };
      }
    }
    return { what: "point" };
  }

  /** Whether a place lies on the drawn curve. @param {Point} at */
  onCurve(at) {
    const line = (this.planes?.curve.points.length ?? 0) < 2 ? [] : this.planes?.curveLine.map((point) => this.toScreen(point)) ?? [];
    return line.slice(1).some((b, n) => {
      const a = line[n];
      const [dx, dy] = [b.x - a.x, b.y - a.y];
      const part = clamp(((at.x - a.x) * dx + (at.y - a.y) * dy) / (dx * dx + dy * dy || 1), 0, 1);
      return Math.hypot(a.x + part * dx - at.x, a.y + part * dy - at.y) < ON_CURVE_PX;
    });
  }

  /** @override @param {Point} at */
  take(at) {
    this.#held = this.grip(at);
    if (this.#held.what === "point" && this.planes?.tool === "crosshair") this.pointAt(at);
  }

  /** @override @param {import("../tools/gestures.js").Move} move */
  carry(move) {
    const held = this.#held;
    const planes = /** @type {import("./planes.js").Planes} */ (this.planes);
    if (!held) return;
    if (held.what === "point") {
      if (planes.tool === "crosshair") this.pointAt(move);
      return;
    }
    if (held.what === "knot") {
      // A point keeps its depth: it is moved as it is seen here.
      const knot = planes.curve.points[held.index];
      const depth = dot(minus(knot, planes.point), this.axes.back);
      planes.moveKnot(held.index, plus(this.fromScreen(move), times(this.axes.back, depth)));
      return;
    }
    const cross = this.toScreen(planes.point);
    if (held.what === "slab") {
      const line = this.#line(held.plane);
      const away = Math.abs((move.x - cross.x) * -line.y + (move.y - cross.y) * line.x);
      planes.setSlab(Number((2 * away * (this.fov_mm / this.height)).toFixed(1)), false);
      return;
    }
    const angle = Math.atan2(move.y - cross.y, move.x - cross.x) - Math.atan2(held.at.y - cross.y, held.at.x - cross.x);
    this.#held = { ...held, at: { x: move.x, y: move.y } };
    // Down is positive on the screen: clockwise for the viewer.
    planes.turnAbout(this, -angle);
  }

  /** @override */
  release() {
    this.#held = null;
    this.planes?.dispatchEvent(new Event("change"));
  }

  /** @override @param {Point} at */
  hover(at) {
    this.dataset.grip = this.grip(at).what;
  }

  /** @override */
  draw() {
    const planes = /** @type {import("./planes.js").Planes | null} */ (this.planes);
    if (!planes) return;
    const reach = 2 * Math.hypot(this.width, this.height);
    /** @type {SVGElement[]} */
    const made = [];
    for (const other of this.#others) {
      const { at, x, y } = this.#line(other);
      const color = COLORS[other];
      const across = (/** @type {number} */ off, /** @type {string} */ more) => svg("line", {
        x1: at.x - y * off - x * reach, y1: at.y + x * off - y * reach, x2: at.x - y * off + x * reach, y2: at.y + x * off + y * reach, class: `${color}${more}`,
      });
      made.push(across(0, ""));
      if (planes.slab_mm) made.push(across(this.#slab_px, " slab-edge"), across(-this.#slab_px, " slab-edge"));
      if (planes.tool !== "crosshair") continue;
      for (const end of this.#ends(other, TURN_AT)) made.push(svg("circle", { cx: end.x, cy: end.y, r: 5, class: `${color} handle` }));
      if (planes.slab_mm) for (const end of this.#slabEnds(other)) made.push(svg("rect", { x: end.x - 4, y: end.y - 4, width: 8, height: 8, class: `${color} handle` }));
    }
    made.push(...this.#drawnCurve());
    this.layer.replaceChildren(...made);
  }

  #drawnCurve() {
    const planes = /** @type {import("./planes.js").Planes} */ (this.planes);
    const { points } = planes.curve;
    if (!points.length) return [];
    const near = (/** @type {Vector} */ point) => Math.abs(dot(minus(point, planes.point), this.axes.back)) < NEAR_MM;
    const line = planes.curveLine.map((point) => this.toScreen(point));
    const path = line.map(({ x, y }, n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    return [
      svg("path", { d: path, class: "curve" }),
      ...points.map((point, n) => {
        const { x, y } = this.toScreen(point);
        return svg("circle", { cx: x, cy: y, r: n ? 4 : 6, class: near(point) ? "knot" : "knot far" });
      }),
    ];
  }

  /** @override */
  written() {
    const planes = /** @type {import("./planes.js").Planes | null} */ (this.planes);
    if (!planes) return;
    this.edges(edgeLetters(this.axes.right, times(this.axes.up, -1)));
    this.scale(this.fov_mm / this.height);
    const oblique = !isStandard(this.name, this.axes);
    this.dataset.oblique = oblique ? "yes" : "no";
    this.corner("tl", [oblique ? `${t(`plane.${this.name}`)} · ${t("planes.oblique")}` : t(`plane.${this.name}`), `${number(Math.round(this.offset_mm * 10) / 10 || 0, 1)} mm`]);
    // One warning a corner: two would reach the letter between them where planes are small.
    const [first, ...others] = this.warnings(this.shown?.picture.warnings ?? []);
    this.corner("tr", [first]);
    this.corner("bl", this.name === planes.spokesman ? [...planes.told, ...others] : others);
    this.corner("br", this.state());
    this.dispatchEvent(new Event("change"));
  }
}
customElements.define("sivr-plane-view", PlaneView);

/** @typedef {import("./flat-pane.js").FlatPane} FlatPane_ */

/** @param {FlatPane_} view */
const grab = (view) => {
  view.grabbed = view.planes?.windowNow ?? null;
};

addHands("planes", {
  crosshair: {
    begin: (/** @type {FlatPane_} */ view, at) => view.take(at),
    drag: (/** @type {FlatPane_} */ view, move) => view.carry(move),
    end: (/** @type {FlatPane_} */ view) => view.release(),
    hover: (/** @type {FlatPane_} */ view, at) => view.hover(at),
  },
  curve: {
    begin: (/** @type {FlatPane_} */ view, at) => view.take(at),
    drag: (/** @type {FlatPane_} */ view, move) => view.carry(move),
    end: (/** @type {FlatPane_} */ view) => view.release(),
    hover: (/** @type {FlatPane_} */ view, at) => view.hover(at),
    tap: (/** @type {any} */ view, at) => {
      if (view instanceof PlaneView && view.grip(at).what === "point") view.planes?.addKnot(view.fromScreen(at), view.onCurve(at));
    },
    double: () => undefined,
    cursor: "crosshair",
  },
  window: {
    begin: grab,
    drag: (/** @type {FlatPane_} */ view, move) => {
      if (view.grabbed) view.planes?.setWindow(dragged(view.grabbed, move.x - move.fromX, move.y - move.fromY, view.series?.value_range ?? null));
    },
  },
  over: {
    begin: (/** @type {FlatPane_} */ view) => {
      view.grabbed = view.planes?.over?.window ?? null;
    },
    drag: (/** @type {FlatPane_} */ view, move) => {
      const over = view.planes?.over;
      if (over && view.grabbed) view.planes?.setOver({ ...over, window: dragged(view.grabbed, move.x - move.fromX, move.y - move.fromY, over.series.value_range) });
    },
    cursor: "window",
  },
  zoom: { drag: (/** @type {FlatPane_} */ view, move) => view.zoomBy(Math.exp(-move.dy / 150), { x: move.fromX, y: move.fromY }) },
  pan: { drag: (/** @type {FlatPane_} */ view, move) => view.panBy(move.dx, move.dy) },
  scroll: { drag: (/** @type {FlatPane_} */ view, move) => view.step(move.dy / 4) },
});
