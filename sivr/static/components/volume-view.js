// @ts-check
/** A volume: turned by an arcball, zoomed, panned; by rays on the server. */
import { clamp, dot, edgeLetters, minus, plus, times } from "../lib/geometry.js";
import { number, t } from "../model/language.js";
import { MOST_LASSOS, VolumeLook, thinned } from "../model/volume-look.js";
import { dragged, ownWindows, parameter, projectionWindow } from "../model/windows.js";
import { asProblem } from "../net/http.js";
import { seenAt } from "../net/volumes.js";
import { VolumeCamera } from "../tools/volume-camera.js";
import { gestures } from "../tools/gestures.js";
import { byHands, handOver } from "../tools/hands.js";
import { viewKey } from "../tools/stack-reader.js";
import "../tools/volume-hands.js";
import { notice } from "./dialog.js";
import { drawCube, emptyCube } from "./orientation-cube.js";
import { RenderedPane } from "./rendered-pane.js";
import { boxOf, drawOverlay, handlesOf } from "./volume-overlay.js";

/** @typedef {import("../model/types.js").Window} Window */
/** @typedef {import("../lib/geometry.js").Vector} Vector */

const REFINE = 8;
/** "surface" is a rendering of one value. */
export const METHODS = ["volume_rendered", "surface", "maximum_ip", "minimum_ip", "average_ip"];
const MOST_POINTS = 20;
/** How far before the middle of the volume what is seen lies, while the last picture stands for it: in parts of its reach. */
const FRONT = 0.22;

/** Fires "change" whenever the toolbar should look again. */
export class VolumeView extends RenderedPane {
  resource = "rendered3d";
  key = viewKey("3d");
  kind = /** @type {const} */ ("volume");
  #tool = "rotate";
  method = "volume_rendered";
  preset = "";
  /** null: what fits the method, or the transfer function as it is. @type {Window | null} */
  window = null;
  /** @type {{tl: string[], tr: string[]}} */
  texts = { tl: [], tr: [] };
  /** @type {VolumeCamera | null} */
  camera = null;
  /** The window when the drag began. @type {Window | null} */
  grabbed = null;
  look = new VolumeLook();
  /** What the node offers, by name. @type {any[]} */
  presets = [];
  /** The point that was picked last, LPS mm; the workspace asks for it. @type {Vector | null} */
  point = null;
  /** Points that were picked, a length between two. @type {import("../net/volumes.js").Seen[]} */
  points = [];
  /** The lasso under the hand, CSS px. @type {{x: number, y: number}[]} */
  drawing = [];
  /** The handle of the crop box under the hand. @type {import("./volume-overlay.js").Handle | null} */
  held = null;
  /** Degrees per second of the turntable. */
  speed = 40;
  /** Whether lassos keep what they surround. */
  outside = false;
  #cube = emptyCube();
  #turning = 0;

  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    handOver(this, "volume", this.#tool, tool);
    this.#tool = tool;
    this.drawOver();
  }

  start() {
    super.start();
    const volume = this.series?.volume;
    if (!volume) return;
    this.setAttribute("aria-label", t("viewer.volume"));
    this.camera = new VolumeCamera(volume);
    this.dataset.hand = this.tool;
    gestures(this, {
      ...byHands(this, "volume", () => this.dispatchEvent(new CustomEvent("double", { bubbles: true }))),
      shifted: "window",
      wheel: (steps) => this.zoomBy(0.9 ** steps),
      zoom: (factor) => this.zoomBy(factor),
      shift: (dx, dy) => this.panBy(dx, dy),
    }, this.signal);
    // The cube is no part of the picture that gestures move.
    this.#cube.addEventListener("pointerdown", (event) => event.stopPropagation());
    this.append(this.#cube);
    const middle = ownWindows(/** @type {any} */ (this.series))[0]?.center ?? 300;
    this.look.iso = this.series?.modality === "CT" ? 300 : Math.round(middle);
    this.written();
  }

  stop() {
    cancelAnimationFrame(this.#turning);
    this.#turning = 0;
    super.stop();
  }

  /** What the node says of the chosen preset. */
  get presetFacts() {
    return this.presets.find((one) => one.name === this.preset);
  }

  /** Whether the preset itself is a projection that is shown. */
  get #projected() {
    return this.method !== "volume_rendered" && this.presetFacts?.renderingmethod === this.method;
  }

  /** The window to ask for; null leaves it to the server. @returns {Window | null} */
  get #wanted() {
    if (this.#projected) return this.window;
    return this.window ?? (this.series ? projectionWindow(this.series, this.method) : null);
  }

  /** @returns {Window} */
  get windowNow() {
    const own = this.series ? ownWindows(this.series)[0] : null;
    return this.#wanted ?? (this.#projected ? this.presetFacts.window : null) ?? own ?? { center: 128, width: 256, function: "linear" };
  }

  /**
   * For projections the window itself; for rays it moves and stretches the transfer function.
   * @param {Window} start @param {number} dx @param {number} dy @returns {Window}
   */
  windowed(start, dx, dy) {
    const range = this.series?.value_range ?? null;
    if (this.method !== "volume_rendered") return dragged(start, dx, dy, range);
    const whole = range ? range[1] - range[0] : start.width * 4;
    return { ...start, center: Math.round(start.center + (dy * whole) / 1500), width: Math.max(1, Math.round(start.width * Math.exp(dx / 300) * 100) / 100) };
  }

  /** How far the transfer function was moved and stretched, in words. */
  #shiftText() {
    const own = this.series ? ownWindows(this.series)[0] : null;
    if (!this.window || !own) return "";
    return t("viewer.shift", { shift: number(this.window.center - own.center, 0), stretch: number(this.window.width / own.width, 2) });
  }

  /** An average is the same however closely it is looked at. @override */
  get refine() {
    return this.method === "average_ip" ? 1 : REFINE;
  }

  /** Height of the picture in the patient. */
  get fov_mm() {
    return this.camera?.fov_mm(this.width, this.height) ?? 1;
  }

  /** The view is another one now: follow it, ask for it, say so. */
  moved() {
    this.move();
    this.written();
    this.dispatchEvent(new Event("change"));
  }

  /** @override */
  query() {
    const method = this.method === "surface" ? "volume_rendered" : this.method;
    const options = [`renderingmethod=${method}`, ...(this.camera?.query(this.fov_mm) ?? [])];
    const own = this.method === "volume_rendered" && this.look.transfer;
    if ((this.method === "volume_rendered" || this.#projected) && this.preset && !own) options.push(`preset=${encodeURIComponent(this.preset)}`);
    const window = this.method === "surface" ? null : this.#wanted;
    if (window) options.push(`window=${parameter(window)}`);
    return [...options, ...this.look.appearance(this.method), ...this.look.cuts()];
  }

  /** @param {Vector} point LPS mm @returns {{x: number, y: number}} CSS px within the view */
  toScreen(point) {
    const { camera } = this;
    if (!camera) return { x: 0, y: 0 };
    const from = minus(point, camera.volume.center);
    const px_per_mm = this.height / this.fov_mm;
    return {
      x: this.width / 2 + (dot(from, camera.axes.right) - camera.pan.right) * px_per_mm,
      y: this.height / 2 - (dot(from, camera.axes.up) - camera.pan.up) * px_per_mm,
    };
  }

  /** @override */
  view() {
    return { ...this.camera?.copy(), fov_mm: this.fov_mm };
  }

  /**
   * Pan, zoom and turn at once by placing the last picture, as if it were painted on a card before the volume's middle.
   * @override
   */
  follow() {
    this.drawOver();
    const { camera, shown } = this;
    if (!camera || !shown?.view?.axes) return;
    const had = shown.view;
    const size = shown.picture.bitmap;
    const mm = had.fov_mm / size.height;
    const px_per_mm = this.height / this.fov_mm;
    const { right, up, back } = camera.axes;
    // Turned far, a card would be seen from its edge: it stays open then.
    const open = (/** @type {number} */ cosine) => Math.sign(cosine || 1) * Math.max(Math.abs(cosine), 0.6);
    const xx = open(dot(had.axes.right, right));
    const xy = dot(had.axes.up, right);
    const yx = dot(had.axes.right, up);
    const yy = open(dot(had.axes.up, up));
    const front = dot(had.axes.back, back) > 0 ? camera.reach_mm * FRONT : 0;
    const lift = { x: dot(had.axes.back, right) * front, y: dot(had.axes.back, up) * front };
    // From pixels of the picture to mm of its own view, to mm of this one, to CSS px.
    const k = mm * px_per_mm;
    const left = had.pan.right - (size.width / 2) * mm;
    const top = had.pan.up + (size.height / 2) * mm;
    this.place(
      xx * k, -yx * k, -xy * k, yy * k,
      this.width / 2 + (xx * left + xy * top + lift.x - camera.pan.right) * px_per_mm,
      this.height / 2 - (yx * left + yy * top + lift.y - camera.pan.up) * px_per_mm,
    );
  }

  /** What lies over the picture. */
  drawOver() {
    if (!this.camera) return;
    drawOverlay(this);
    drawCube(this.#cube, this.camera.axes, (letter) => this.stand(letter));
  }

  handles() {
    return handlesOf(this);
  }

  /** Move a face of the crop box. @param {number} axis @param {"low" | "high"} end @param {number} voxels */
  cropBy(axis, end, voxels) {
    const box = boxOf(this);
    this.cropTo(axis, end, box[end][axis] + voxels);
  }

  /** @param {number} axis @param {"low" | "high"} end @param {number} place in voxels */
  cropTo(axis, end, place) {
    const box = boxOf(this);
    const count = [...(this.series?.volume?.shape ?? [1, 1, 1])].reverse()[axis];
    const low = /** @type {Vector} */ ([...box.low]);
    const high = /** @type {Vector} */ ([...box.high]);
    if (end === "low") low[axis] = clamp(place, -0.5, high[axis] - 1);
    else high[axis] = clamp(place, low[axis] + 1, count - 0.5);
    this.look.crop = { low, high };
    this.moved();
  }

  /** The lasso is closed: cut. */
  cutOut() {
    const { camera, drawing } = this;
    this.drawing = [];
    this.drawOver();
    if (!camera || drawing.length < 3) return;
    if (this.look.lassos.length >= MOST_LASSOS) {
      notice(t("volume.lassos.full", { count: MOST_LASSOS }), "bad");
      return;
    }
    const { right, up, back } = camera.axes;
    const lookat = plus(camera.volume.center, plus(times(right, camera.pan.right), times(up, camera.pan.up)));
    this.look.lassos.push({
      outside: this.outside, lookat, position: plus(lookat, times(back, camera.reach_mm)), up, fov_mm: this.fov_mm,
      corners: thinned(drawing).map(({ x, y }) => [(x - this.width / 2) / this.height, (this.height / 2 - y) / this.height]),
    });
    this.moved();
  }

  undoLasso() {
    this.look.lassos.pop();
    this.moved();
  }

  /** A plane that looks at the reader, through the middle: what lies before it is taken away. */
  clipHere() {
    if (!this.camera) return;
    this.look.plane = { point: this.camera.volume.center, normal: this.camera.axes.back };
    this.moved();
  }

  /** How far the plane lies before the middle, mm. */
  get clip_mm() {
    return this.look.plane && this.camera ? dot(minus(this.look.plane.point, this.camera.volume.center), this.look.plane.normal) : 0;
  }

  /** @param {number} mm */
  clipAt(mm) {
    if (!this.look.plane || !this.camera) return;
    this.look.plane = { ...this.look.plane, point: plus(this.camera.volume.center, times(this.look.plane.normal, mm)) };
    this.moved();
  }

  uncut() {
    this.look.uncut();
    this.moved();
  }

  /** What is seen there: the other views look at it too. @param {{x: number, y: number}} at CSS px @param {boolean} more one of several, for lengths */
  async pickAt(at, more) {
    if (!this.node || !this.series) return;
    const [width, height] = [Math.round(this.width), Math.round(this.height)];
    const place = `at=${((at.x * width) / this.width).toFixed(1)},${((at.y * height) / this.height).toFixed(1)}`;
    try {
      const found = await seenAt(this.node, this.study, this.series.series_uid, [...this.query(), `viewport=${width},${height}`, place, "draft=yes"].join("&"), this.signal);
      if (!found) {
        notice(t("volume.nothing"), "bad");
        return;
      }
      if (!more) this.points = [];
      this.points = [...this.points, found].slice(-MOST_POINTS);
      this.point = found.point;
      this.dataset.picked = found.point.map((one) => one.toFixed(1)).join(",");
      this.drawOver();
      this.dispatchEvent(new Event("point"));
      this.dispatchEvent(new Event("change"));
    } catch (error) {
      const problem = asProblem(error);
      if (!problem.canceled) notice(problem.message, "bad");
    }
  }

  get playing() {
    return this.#turning !== 0;
  }

  /** Turn by itself, or stop. */
  play() {
    if (this.#turning) {
      cancelAnimationFrame(this.#turning);
      this.#turning = 0;
    } else {
      let before = performance.now();
      const step = (/** @type {number} */ now) => {
        this.#turning = requestAnimationFrame(step);
        // After a pause of the page the volume goes on where it stood.
        this.camera?.nudge((this.speed * Math.min(now - before, 100)) / 1000, 0);
        before = now;
        this.move();
        this.written();
      };
      this.#turning = requestAnimationFrame(step);
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @override */
  written() {
    const { camera, series } = this;
    if (!camera || !series) return;
    this.edges(edgeLetters(camera.axes.right, times(camera.axes.up, -1)));
    this.scale(this.fov_mm / this.height);
    this.corner("tl", this.texts.tl);
    this.corner("tr", [...this.texts.tr, ...this.warnings(this.shown?.picture.warnings ?? [])]);
    this.corner("bl", [[series.modality, series.description].filter(Boolean).join(" · "), t(`method.${this.method}`)]);
    const refining = this.shown && !this.shown.picture.complete;
    const sampling = this.waiting || refining ? "" : this.shown?.picture.sampling ?? "";
    this.dataset.sampling = sampling;
    const window = this.windowNow;
    this.corner("br", [
      this.method === "surface" ? t("volume.surface.at", { value: number(this.look.iso, 0), units: series.units ?? "" })
        : this.method === "volume_rendered" ? this.#shiftText() : t("viewer.window", { center: number(window.center, 1), width: number(window.width, 1) }),
      refining ? t("viewer.refining") : "",
      this.quality(this.exactness, sampling && sampling !== "draft" ? `· ${t(`sampling.${sampling}`)}` : ""),
    ]);
  }

  /** @param {string} letter */
  stand(letter) {
    this.camera?.stand(letter);
    this.moved();
  }

  /** @param {number} across @param {number} over degrees */
  nudge(across, over) {
    this.camera?.nudge(across, over);
    this.moved();
  }

  /** @param {number} factor */
  zoomBy(factor) {
    this.camera?.zoom(factor);
    this.moved();
  }

  /** @param {number} dx @param {number} dy CSS px */
  panBy(dx, dy) {
    this.camera?.shift(dx, dy, this.fov_mm / this.height);
    this.moved();
  }

  /** @param {[number, number]} from @param {[number, number]} to CSS px of a drag */
  turn(from, to) {
    this.camera?.rotate(this.width, this.height, from, to);
    this.moved();
  }

  /** @param {Window | null} window null: the file's */
  setWindow(window) {
    const own = this.series && this.method !== "volume_rendered" ? ownWindows(this.series)[0] : null;
    this.window = window ?? own ?? null;
    this.moved();
  }

  /** @param {string} method */
  setMethod(method) {
    this.method = method;
    this.window = null;
    this.moved();
  }

  /** @param {string} preset */
  setPreset(preset) {
    this.preset = preset;
    this.window = null;
    this.look.transfer = null;
    this.look.light = null;
    this.look.opacity = 1;
    const facts = this.presetFacts;
    if (facts) this.method = facts.renderingmethod ?? "volume_rendered";
    this.moved();
  }

  /** @param {import("../model/formats.js").Format} format */
  setFormat(format) {
    this.format = format;
    this.ask();
  }

  /** What a double click does where no cell is to be enlarged. */
  home() {
    this.reset();
  }

  reset() {
    this.camera?.reset();
    this.window = null;
    this.points = [];
    const { iso } = this.look;
    this.look = Object.assign(new VolumeLook(), { iso });
    this.moved();
  }
}
customElements.define("sivr-volume-view", VolumeView);
