// @ts-check
/** A magnifying glass: the picture at hand at once, what the node has of it where that is more. */
import { afterPause, h } from "../lib/dom.js";
import { clamp } from "../lib/geometry.js";
import { asProblem } from "../net/http.js";
import { picture } from "../net/pictures.js";
import { addHands } from "../tools/hands.js";

/** @typedef {import("./stack-view.js").StackView} StackView */
/** @typedef {{x: number, y: number}} Point */

const SIDE_PX = 240;
const TIMES = 3;

class Lens {
  #canvas = h("canvas", { class: "lens" });
  #at = /** @type {Point} */ ({ x: 0, y: 0 });
  /** @type {{bitmap: ImageBitmap, x: number, y: number, width: number, height: number, path: string} | null} */
  #part = null;
  #controller = new AbortController();

  /** @param {StackView} view */
  constructor(view) {
    this.view = view;
    this.#canvas.width = this.#canvas.height = Math.round(SIDE_PX * (window.devicePixelRatio || 1));
    view.append(this.#canvas);
    view.addEventListener("arranged", this.#redraw, { signal: this.#controller.signal });
  }

  #redraw = () => {
    this.#draw();
    this.#fetch();
  };

  /** @param {Point} at CSS px within the view */
  move(at) {
    this.#at = at;
    this.#draw();
    this.#fetch();
  }

  #draw() {
    const { view } = this;
    if (!view.reader?.shown || !this.#canvas.isConnected) return;
    const [a, b, c, d, e, f] = view.screenFromFrame;
    const { columns, rows } = view.reader.frame;
    const k = this.#canvas.width / SIDE_PX;
    const drawing = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    drawing.setTransform(1, 0, 0, 1, 0, 0);
    drawing.filter = "none";
    drawing.fillStyle = "#000";
    drawing.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    // Lens pixels from frame coordinates: what lies under the pointer stays in the middle.
    const m = TIMES * k;
    drawing.setTransform(a * m, b * m, c * m, d * m, ((e - this.#at.x) * TIMES + SIDE_PX / 2) * k, ((f - this.#at.y) * TIMES + SIDE_PX / 2) * k);
    drawing.imageSmoothingEnabled = !view.canvas.classList.contains("pixels") && view.look.interpolation !== "nearest";
    drawing.imageSmoothingQuality = "high";
    drawing.drawImage(view.canvas, 0, 0, columns, rows);
    this.#canvas.style.filter = view.canvas.style.filter;
    const part = this.#part;
    if (part && !view.canvas.style.filter && part.path === this.#path(part)) drawing.drawImage(part.bitmap, part.x, part.y, part.width, part.height);
    const [x, y] = [clamp(this.#at.x - SIDE_PX / 2, 0, Math.max(view.width - SIDE_PX, 0)), clamp(this.#at.y - SIDE_PX / 2, 0, Math.max(view.height - SIDE_PX, 0))];
    this.#canvas.style.transform = `translate(${x}px, ${y}px)`;
    view.dataset.lens = `${Math.round(this.#at.x)},${Math.round(this.#at.y)}`;
  }

  /** @param {{x: number, y: number, width: number, height: number}} part of the frame */
  #path(part) {
    return this.view.reader?.partPath(part.x, part.y, part.width, part.height) ?? "";
  }

  /** The stored pixels, where the picture on the screen has fewer. */
  #fetch = afterPause(120, async () => {
    const { view } = this;
    if (!view.reader || !this.#canvas.isConnected) return;
    const { columns, rows } = view.reader.frame;
    if (view.canvas.width >= columns) return;
    const reach = SIDE_PX / TIMES / 2;
    const corners = [[-1, -1], [1, -1], [-1, 1], [1, 1]].map(([dx, dy]) => view.fromScreen({ x: this.#at.x + dx * reach, y: this.#at.y + dy * reach }));
    const x = clamp(Math.floor(Math.min(...corners.map((one) => one.x))), 0, columns - 1);
    const y = clamp(Math.floor(Math.min(...corners.map((one) => one.y))), 0, rows - 1);
    const width = clamp(Math.ceil(Math.max(...corners.map((one) => one.x))) - x, 1, columns - x);
    const height = clamp(Math.ceil(Math.max(...corners.map((one) => one.y))) - y, 1, rows - y);
    const path = this.#path({ x, y, width, height });
    try {
      const { bitmap } = await picture(view.node ?? /** @type {any} */ (null), path, { keep: false, priority: "high" });
      this.#part = { bitmap, x, y, width, height, path };
      this.#draw();
    } catch (error) {
      // What is on the screen stays in the glass.
      if (!asProblem(error).canceled) this.#part = null;
    }
  });

  close() {
    this.#controller.abort();
    this.#fetch.cancel();
    this.#canvas.remove();
    delete this.view.dataset.lens;
  }
}

/** @type {WeakMap<StackView, Lens>} */
const lenses = new WeakMap();

/** @param {StackView} view @param {Point} at */
function show(view, at) {
  let lens = lenses.get(view);
  if (!lens) {
    lens = new Lens(view);
    lenses.set(view, lens);
    view.signal.addEventListener("abort", () => hide(view), { once: true });
  }
  lens.move(at);
}

/** @param {StackView} view */
function hide(view) {
  lenses.get(view)?.close();
  lenses.delete(view);
}

addHands("stack", {
  magnify: { begin: show, drag: (view, move) => show(view, move), hover: show, left: hide, cursor: "magnify" },
});
