// @ts-check
/**
 * The cells that are read in: one to nine, one of them active. What moves in one may move others: scrolling by position,
 * lines of reference, the point that was picked.
 */
import { svg } from "../lib/dom.js";
import { dot, plus, times } from "../lib/geometry.js";
import { View } from "../lib/view.js";
import { cutLine, distance_mm, frameFromLps, lpsFromFrame, nearestFrame, parallel, planeOf } from "../model/frames.js";
import "./cell.js";

/** @typedef {import("../lib/geometry.js").Vector} Vector */
/** @typedef {import("./cell.js").Cell} Cell */
/** @typedef {import("./stack-view.js").StackView} StackView */

/** @typedef {import("../model/frames.js").Plane} Plane */
/** @typedef {{cell: Cell, view: StackView, series: import("../model/types.js").SeriesContents}} Stack */
/** @typedef {{plane: Plane, lps: Vector}} Place the middle of a shown frame */

export const LAYOUTS = /** @type {[number, number][]} */ ([[1, 1], [1, 2], [2, 1], [1, 3], [2, 2], [2, 3], [3, 2], [3, 3]]);
const MOST_CELLS = 9;

/** The normal, pointed so that frames counted the other way round have the same. @param {Plane} plane @returns {Vector} */
function direction(plane) {
  const largest = plane.normal.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
  return largest < 0 ? times(plane.normal, -1) : plane.normal;
}

/** @param {Place} place @returns {number} mm along its direction */
const along = (place) => dot(place.lps, direction(place.plane));

/** The axis of the patient that a place is nearest to looking along. @param {Place} place @returns {number} 0 to 2 */
function axis({ plane }) {
  const sizes = plane.normal.map(Math.abs);
  return sizes.indexOf(Math.max(...sizes));
}

/** The point beside a place with another position along its direction. @param {Place} place @param {number} position_mm @returns {Vector} */
const beside = (place, position_mm) => plus(place.lps, times(direction(place.plane), position_mm - along(place)));

/** A drag of a series carries this kind of text. */
export const SERIES_DRAG = "application/x-sivr-series";

/**
 * Fires "active" when another cell is, "change" when a view changed, "layout", "point" when the picked point moved, and
 * "placed" (detail {cell, key}) when a series was dropped on a cell.
 */
export class Workspace extends View {
  rows = 1;
  columns = 1;
  /** @type {Cell[]} */
  cells = [];
  /** @type {Cell} */
  active = this.#cell();
  /** The point of the patient that was picked, LPS mm, and the coordinates it belongs to. @type {{lps: Vector, reference: string} | null} */
  point = null;
  /** Whether stacks scroll together. */
  together = true;
  /** Whether lines show where other cells' pictures cut. */
  lines = true;
  /** @type {Cell | null} */
  #large = null;
  /** Where the joined stacks of each direction are, mm, and how far each stack is ahead: what stays between stacks without common coordinates. */
  #common = /** @type {Map<number, number>} */ (new Map());
  /** @type {WeakMap<StackView, number>} */
  #ahead = new WeakMap();
  /** The frame each stack showed last: only another frame moves the others. @type {WeakMap<StackView, number>} */
  #seen = new WeakMap();
  #following = false;

  constructor() {
    super();
    this.cells = [this.active];
  }

  #cell() {
    return /** @type {Cell} */ (document.createElement("sivr-cell"));
  }

  start() {
    this.classList.add("workspace");
    this.listen(this, "pointerdown", (event) => this.#activate(event), { capture: true });
    this.listen(this, "focusin", (event) => this.#activate(event));
    this.listen(this, "moved", (event) => this.#moved(event.target, event.detail));
    this.listen(this, "double", (event) => this.#double(event));
    this.listen(this, "dragover", (event) => {
      if (!event.dataTransfer?.types.includes(SERIES_DRAG)) return;
      event.preventDefault();
      this.#mark(event.target.closest("sivr-cell"));
    });
    this.listen(this, "dragleave", (event) => {
      if (!this.contains(event.relatedTarget)) this.#mark(null);
    });
    this.listen(this, "drop", (event) => {
      const key = event.dataTransfer?.getData(SERIES_DRAG);
      const cell = event.target.closest("sivr-cell");
      this.#mark(null);
      if (!key || !cell) return;
      event.preventDefault();
      event.stopPropagation();
      this.dispatchEvent(new CustomEvent("placed", { detail: { cell, key } }));
    });
    this.#draw();
  }

  /** @param {Element | null} over */
  #mark(over) {
    for (const cell of this.cells) cell.classList.toggle("over", cell === over);
  }

  #draw() {
    const shown = this.#large ? [this.#large] : this.cells;
    this.dataset.layout = this.#large ? "1x1" : `${this.rows}x${this.columns}`;
    const kept = new Set(shown);
    for (const child of [...this.children]) if (!kept.has(/** @type {Cell} */ (child))) child.remove();
    shown.forEach((cell, at) => {
      if (this.children[at] !== cell) this.insertBefore(cell, this.children[at] ?? null);
    });
    this.#mine();
  }

  #mine() {
    const several = !this.#large && this.cells.length > 1;
    for (const cell of this.cells) cell.classList.toggle("active", several && cell === this.active);
  }

  /** @param {Event} event */
  #activate(event) {
    const cell = /** @type {Element} */ (event.target).closest("sivr-cell");
    if (cell) this.activate(/** @type {Cell} */ (cell));
  }

  /** @param {Cell} cell */
  activate(cell) {
    if (cell === this.active || !this.cells.includes(cell)) return;
    this.active = cell;
    this.#mine();
    this.dispatchEvent(new Event("active"));
  }

  /** The next cell, or the one before, becomes active. @param {1 | -1} step */
  next(step) {
    const at = this.cells.indexOf(this.active);
    const cell = this.cells[(at + step + this.cells.length) % this.cells.length];
    if (this.#large) {
      this.#large = cell;
      this.#draw();
    }
    this.activate(cell);
    this.focusActive();
  }

  focusActive() {
    const target = this.active.view?.kind === "planes" ? this.active.view.querySelector(".pane") : this.active.view;
    /** @type {HTMLElement | null} */ (target)?.focus({ preventScroll: true });
  }

  /**
   * So many cells; what was shown stays in the order of reading, what has no room is closed.
   * @param {number} rows @param {number} columns
   */
  setLayout(rows, columns) {
    const count = Math.min(rows * columns, MOST_CELLS);
    [this.rows, this.columns] = [rows, columns];
    this.#large = null;
    // The active cell is never the one that is closed.
    const filled = [this.active, ...this.cells.filter((cell) => cell !== this.active && cell.series)].slice(0, count);
    const kept = this.cells.filter((cell) => filled.includes(cell));
    while (kept.length < count) kept.push(this.#cell());
    this.cells = kept;
    this.#draw();
    this.dispatchEvent(new Event("layout"));
  }

  /** Whether one of several cells fills the field. */
  get enlarged() {
    return this.#large !== null;
  }

  /** One cell fills the field, or all are shown again. @param {Cell} [cell] */
  enlarge(cell = this.active) {
    this.#large = this.#large || this.cells.length < 2 ? null : cell;
    this.activate(cell);
    this.#draw();
    this.dispatchEvent(new Event("layout"));
  }

  /** @param {Event} event */
  #double(event) {
    const cell = /** @type {Cell} */ (/** @type {Element} */ (event.target).closest("sivr-cell"));
    if (this.cells.length > 1) this.enlarge(cell);
    else cell.view?.home();
  }

  /** Stacks on the screen. @returns {Stack[]} */
  get stacks() {
    return this.cells.filter((cell) => cell.isConnected && cell.view?.kind === "stack" && cell.series)
      .map((cell) => ({ cell, view: /** @type {StackView} */ (cell.view), series: /** @type {any} */ (cell.series) }));
  }

  /** @param {Cell} cell @param {string} what */
  #moved(cell, what) {
    if (what === "change") this.dispatchEvent(new Event("change"));
    if (what === "point") this.#pointed(cell);
    if (what !== "arranged") return;
    const view = cell.view?.kind === "stack" ? cell.view : null;
    const index = view?.reader?.index ?? -1;
    const other = !!view && this.#seen.get(view) !== index;
    if (view) this.#seen.set(view, index);
    if (this.#following) return;
    if (other && this.together) this.#join(cell);
    this.drawLines();
  }

  /** The planes of a cell go through another point: others look there too. @param {Cell} cell */
  #pointed(cell) {
    const view = /** @type {any} */ (cell.view);
    if (this.#following || !view?.point || !cell.series) return;
    this.pick(view.point, cell.series.frame_of_reference_uid, cell);
  }

  /**
   * Look at a point of the patient in every cell with the same coordinates.
   * @param {Vector} lps @param {string} reference frame of reference UID @param {Cell | null} [from] stays as it is
   */
  pick(lps, reference, from = null) {
    this.point = { lps, reference };
    this.#following = true;
    for (const cell of this.cells) {
      if (cell === from || !cell.isConnected || !cell.series || cell.series.frame_of_reference_uid !== reference) continue;
      const view = /** @type {any} */ (cell.view);
      if (view?.kind === "planes") view.setPoint(lps);
      else if (view?.kind === "stack") {
        const found = nearestFrame(cell.series, lps);
        if (found) view.go(found.index);
      }
    }
    this.#following = false;
    this.drawLines();
    this.dispatchEvent(new Event("point"));
  }

  /** @param {Cell} a @param {Cell} b */
  #shared(a, b) {
    const reference = a.series?.frame_of_reference_uid;
    return !!reference && reference === b.series?.frame_of_reference_uid;
  }

  /** The shown frame in the patient. @param {Stack} stack @returns {Place | null} */
  #place(stack) {
    const plane = stack.view.reader ? planeOf(stack.series, stack.view.reader.index) : null;
    return plane ? { plane, lps: lpsFromFrame(plane, { x: plane.columns / 2, y: plane.rows / 2 }) } : null;
  }

  /** Where stacks are now is how they stay to each other. @param {boolean} yes */
  setTogether(yes) {
    this.together = yes;
    this.#common.clear();
    this.#ahead = new WeakMap();
    for (const { cell } of this.stacks) if (yes) this.#join(cell);
    this.dispatchEvent(new Event("change"));
  }

  /** Other stacks go where this one is. @param {Cell} cell */
  #join(cell) {
    const { stacks } = this;
    const from = stacks.find((stack) => stack.cell === cell);
    const place = from && this.#place(from);
    if (!from || !place) return;
    const ahead = this.#ahead.get(from.view);
    if (ahead === undefined) {
      this.#enter(from, place, stacks);
      return;
    }
    const common = along(place) - ahead;
    this.#common.set(axis(place), common);
    this.#following = true;
    for (const stack of stacks) {
      const other = stack === from ? null : this.#place(stack);
      if (!other || !parallel(place.plane, other.plane)) continue;
      const target = this.#shared(cell, stack.cell) ? place.lps : beside(other, common + (this.#ahead.get(stack.view) ?? 0));
      const found = nearestFrame(stack.series, target);
      if (!found) continue;
      stack.view.go(found.index);
      const now = this.#place(stack);
      if (now && this.#shared(cell, stack.cell)) this.#ahead.set(stack.view, along(now) - common);
    }
    this.#following = false;
  }

  /**
   * A stack that was just opened begins where another with its coordinates is; else it stays as far away as it is.
   * @param {Stack} stack @param {Place} place @param {Stack[]} stacks
   */
  #enter(stack, place, stacks) {
    for (const other of stacks) {
      const there = other === stack || !this.#shared(stack.cell, other.cell) || !this.#ahead.has(other.view) ? null : this.#place(other);
      const found = there && parallel(place.plane, there.plane) ? nearestFrame(stack.series, there.lps) : null;
      if (!found) continue;
      this.#following = true;
      stack.view.go(found.index);
      this.#following = false;
      break;
    }
    const now = along(this.#place(stack) ?? place);
    const common = this.#common.get(axis(place)) ?? now;
    this.#common.set(axis(place), common);
    this.#ahead.set(stack.view, now - common);
  }

  /** Lines where the other cells' frames cut, and the point that was picked. */
  drawLines() {
    const { stacks } = this;
    for (const stack of stacks) {
      const group = svg("g", { class: "reference-lines" });
      const place = this.#place(stack);
      const reference = stack.series.frame_of_reference_uid;
      if (place && this.lines) {
        for (const other of stacks) {
          if (other === stack || !this.#shared(stack.cell, other.cell)) continue;
          const there = this.#place(other);
          const line = there && cutLine(place.plane, there.plane);
          if (!line) continue;
          const [a, b] = line.map((point) => stack.view.toScreen(point));
          group.append(svg("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y, class: other.cell === this.active ? "reference now" : "reference" }));
        }
      }
      if (place && this.point && reference && this.point.reference === reference) {
        const at = stack.view.toScreen(frameFromLps(place.plane, this.point.lps));
        const near = Math.abs(distance_mm(place.plane, this.point.lps)) < 2;
        group.append(svg("path", { d: `M${at.x - 9} ${at.y}h6M${at.x + 3} ${at.y}h6M${at.x} ${at.y - 9}v6M${at.x} ${at.y + 3}v6`, class: near ? "picked" : "picked far" }));
      }
      const old = stack.view.layer.querySelector(".reference-lines");
      if (old) old.replaceWith(group);
      else stack.view.layer.prepend(group);
    }
  }
}
customElements.define("sivr-workspace", Workspace);
