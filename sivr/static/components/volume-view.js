// @ts-check
/** A volume: turned by an arcball, zoomed, panned; by rays on the server. */
import { edgeLetters, times } from "../lib/geometry.js";
import { number, t } from "../model/language.js";
import { dragged, ownWindows, parameter, projectionWindow } from "../model/windows.js";
import { VolumeCamera } from "../tools/volume-camera.js";
import { gestures } from "../tools/gestures.js";
import { addHands, byHands, handOver } from "../tools/hands.js";
import { viewKey } from "../tools/stack-reader.js";
import { RenderedPane } from "./rendered-pane.js";

/** @typedef {import("../model/types.js").Window} Window */

const REFINE = 8;
export const METHODS = ["volume_rendered", "maximum_ip", "minimum_ip", "average_ip"];

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

  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    handOver(this, "volume", this.#tool, tool);
    this.#tool = tool;
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
    this.written();
  }

  /** The window to ask for; null leaves it to the server. @returns {Window | null} */
  get #wanted() {
    return this.window ?? (this.series ? projectionWindow(this.series, this.method) : null);
  }

  /** @returns {Window} */
  get windowNow() {
    const own = this.series ? ownWindows(this.series)[0] : null;
    return this.#wanted ?? own ?? { center: 128, width: 256, function: "linear" };
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
    const options = [`renderingmethod=${this.method}`, ...(this.camera?.query(this.fov_mm) ?? [])];
    if (this.method === "volume_rendered" && this.preset) options.push(`preset=${encodeURIComponent(this.preset)}`);
    const window = this.#wanted;
    if (window) options.push(`window=${parameter(window)}`);
    return options;
  }

  /** @override */
  view() {
    return { ...this.camera?.copy(), fov_mm: this.fov_mm };
  }

  /** Pan and zoom at once by placing the last picture; turning waits for the server. @override */
  follow() {
    const { camera, shown } = this;
    if (!camera || !shown) return;
    const had = shown.view;
    const size = shown.picture.bitmap;
    const cover = Math.max(this.width / size.width, this.height / size.height);
    const k = (cover * had.fov_mm) / this.fov_mm;
    const px_per_mm = this.height / this.fov_mm;
    const dx = (had.pan.right - camera.pan.right) * px_per_mm;
    const dy = (camera.pan.up - had.pan.up) * px_per_mm;
    this.place(k, 0, 0, k, this.width / 2 + dx - (k * size.width) / 2, this.height / 2 + dy - (k * size.height) / 2);
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
      this.method === "volume_rendered" ? this.#shiftText() : t("viewer.window", { center: number(window.center, 1), width: number(window.width, 1) }),
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
    this.moved();
  }
}
customElements.define("sivr-volume-view", VolumeView);

addHands("volume", {
  rotate: { drag: (/** @type {VolumeView} */ view, move) => view.turn([move.x - move.dx, move.y - move.dy], [move.x, move.y]) },
  zoom: { drag: (/** @type {VolumeView} */ view, move) => view.zoomBy(Math.exp(-move.dy / 150)) },
  pan: { drag: (/** @type {VolumeView} */ view, move) => view.panBy(move.dx, move.dy) },
  window: {
    begin: (/** @type {VolumeView} */ view) => {
      view.grabbed = view.windowNow;
    },
    drag: (/** @type {VolumeView} */ view, move) => {
      if (!view.grabbed) return;
      view.window = view.windowed(view.grabbed, move.x - move.fromX, move.y - move.fromY);
      view.moved();
    },
  },
});
