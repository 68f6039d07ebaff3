// @ts-check
/** A stack of frames: scroll, window, pan, zoom, turn. The picture is the server's; the hand is followed here at once. */
import { afterPause, h, perFrame } from "../lib/dom.js";
import { clamp, edgeLetters, times } from "../lib/geometry.js";
import { icon } from "../lib/icons.js";
import { session } from "../net/session.js";
import { number, t } from "../model/language.js";
import { dragged, echo, ownWindows, same } from "../model/windows.js";
import { PLAIN, isColored } from "../model/look.js";
import { isKey } from "../tools/key-images.js";
import { Cine } from "../tools/cine.js";
import { autoWindow } from "../net/frames.js";
import { StackReader } from "../tools/stack-reader.js";
import { gestures } from "../tools/gestures.js";
import { addHands, byHands, handOver } from "../tools/hands.js";
import { Drawings } from "./drawings.js";
import { notice } from "./dialog.js";
import { asProblem } from "../net/http.js";
import { Pane } from "./pane.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../model/types.js").Window} Window */

/** How the stack was left, by series: coming back finds it so. @type {Map<string, {index: number, window: Window | null, inverted: boolean, look: import("../model/look.js").Look}>} */
const left = new Map();

session.addEventListener("closed", () => left.clear());

/**
 * Fires "change" whenever the toolbar should look again, "arranged" when frame and field lie otherwise to each other or
 * another frame is shown: what is drawn over the picture is then drawn anew.
 */
export class StackView extends Pane {
  kind = /** @type {const} */ ("stack");
  /** @type {import("../net/node.js").RenderNode | null} */
  node = null;
  study = "";
  /** @type {SeriesContents | null} */
  series = null;
  /** @type {StackReader | null} */
  reader = null;
  /** Annotations of the study. @type {import("../tools/annotation-book.js").AnnotationBook | null} */
  book = null;
  /** @type {Drawings | null} */
  drawings = null;
  #tool = "window";
  format = /** @type {import("../model/formats.js").Format} */ ("auto");
  zoom = 1;
  pan = { x: 0, y: 0 };
  turns = 0;
  mirrored = false;
  playing = false;
  /** The frame to begin with; null for where it was left, else the middle. @type {number | null} */
  begin = null;
  /** The window to begin with; null for the file's. @type {Window | null} */
  window = null;
  /** What to write into the corners. @type {{tl: string[], tr: string[]}} */
  texts = { tl: [], tr: [] };
  /** The window when the drag began. @type {Window | null} */
  grabbed = null;
  /** How it is played. @type {Cine | null} */
  cine = null;
  #played_ms = 0;
  /** CSS px of a scrolling drag that are not yet a slice. */
  scrolled = 0;
  #playTimer = 0;

  get tool() {
    return this.#tool;
  }

  set tool(tool) {
    handOver(this, "stack", this.#tool, tool);
    this.#tool = tool;
  }

  start() {
    super.start();
    const series = /** @type {SeriesContents} */ (this.series);
    const node = /** @type {import("../net/node.js").RenderNode} */ (this.node);
    this.setAttribute("aria-label", t("viewer.stack"));
    const reader = (this.reader = new StackReader(node, this.study, series));
    reader.format = this.format;
    this.cine = new Cine(series);
    const before = left.get(series.series_uid);
    if (before) {
      reader.index = Math.min(before.index, reader.count - 1);
      reader.window = before.window;
      reader.inverted = before.inverted;
      reader.look = before.look;
      this.#smooth();
    }
    if (this.begin !== null) reader.index = clamp(this.begin, 0, reader.count - 1);
    if (this.window) reader.window = this.window;
    this.listen(reader, "shown", (event) => this.#shown(event.detail));
    this.listen(reader, "asking", () => this.working(true));
    this.listen(reader, "problem", (event) => {
      this.clear();
      this.say(event.detail.message, h("button", { type: "button", class: "quiet", onclick: () => reader.ask() }, icon("retry"), t("retry")));
      this.#write();
    });
    this.#gestures();
    this.drawings = this.book && new Drawings(this, this.book);
    if (this.book) this.listen(this.book, "change", () => this.#write());
    this.working(true);
    reader.ask();
    this.#write();
  }

  stop() {
    this.play(false);
    if (this.reader && this.series) {
      left.set(this.series.series_uid, { index: this.reader.index, window: this.reader.window, inverted: this.reader.inverted, look: this.reader.look });
    }
    this.reader?.close();
  }

  /** @override @param {boolean} _first */
  resized(_first) {
    this.arrange();
    this.#sharpen();
  }

  /** Size of the frame in column widths: rows are stretched where pixels are not square. */
  #content() {
    const reader = /** @type {StackReader} */ (this.reader);
    const series = /** @type {SeriesContents} */ (this.series);
    const { columns, rows } = reader.frame;
    const aspect = series.pixel_aspect;
    const tall = series.spacing_mm ? series.spacing_mm[0] / series.spacing_mm[1] : Array.isArray(aspect) && aspect[1] ? aspect[0] / aspect[1] : 1;
    return { columns, rows, width: columns, height: rows * (tall > 0 ? tall : 1) };
  }

  /** CSS pixels per column when the frame just fits. */
  get #fit() {
    const { width, height } = this.#content();
    const [w, hgt] = this.turns % 2 ? [height, width] : [width, height];
    return Math.min(this.width / w, this.height / hgt) || 1;
  }

  /**
   * CSS pixels from frame coordinates: column and row with the outer corner of the first pixel at 0, 0 and its center at
   * 0.5, 0.5 (as SCOORD counts, PS3.3 C.18.6.1.1). A matrix [a, b, c, d, e, f] as SVG and CSS have it.
   * @returns {[number, number, number, number, number, number]}
   */
  get screenFromFrame() {
    const { columns, rows, height } = this.#content();
    const scale = this.#fit * this.zoom;
    const tall = (height / rows) * scale;
    const angle = (this.turns * Math.PI) / 2;
    const [cos, sin] = [Math.round(Math.cos(angle)), Math.round(Math.sin(angle))];
    const mirror = this.mirrored ? -1 : 1;
    const [a, b, c, d] = [cos * scale * mirror, sin * scale * mirror, -sin * tall, cos * tall];
    return [a, b, c, d, this.width / 2 + this.pan.x - (a * columns + c * rows) / 2, this.height / 2 + this.pan.y - (b * columns + d * rows) / 2];
  }

  /** @param {{x: number, y: number}} point column and row @returns {{x: number, y: number}} CSS px within the view */
  toScreen(point) {
    const [a, b, c, d, e, f] = this.screenFromFrame;
    return { x: a * point.x + c * point.y + e, y: b * point.x + d * point.y + f };
  }

  /** @param {{x: number, y: number}} at CSS px within the view @returns {{x: number, y: number}} column and row */
  fromScreen(at) {
    const [a, b, c, d, e, f] = this.screenFromFrame;
    const [x, y] = [at.x - e, at.y - f];
    const determinant = a * d - b * c || 1;
    return { x: (d * x - c * y) / determinant, y: (a * y - b * x) / determinant };
  }

  arrange = perFrame(() => {
    if (!this.isConnected || !this.reader) return;
    const { columns, rows } = this.#content();
    const [a, b, c, d, e, f] = this.screenFromFrame;
    const [kx, ky] = [columns / this.canvas.width, rows / this.canvas.height];
    this.place(a * kx, b * kx, c * ky, d * ky, e, f);
    const scale = this.#fit * this.zoom;
    const angle = (this.turns * Math.PI) / 2;
    const [cos, sin] = [Math.round(Math.cos(angle)), Math.round(Math.sin(angle))];
    const mirror = this.mirrored ? -1 : 1;
    this.#edges(cos, sin, mirror);
    const spacing = this.series?.spacing_mm;
    this.scale(spacing ? spacing[1] / scale : null);
    this.#write();
    this.dispatchEvent(new Event("arranged"));
  });

  /** @param {number} cos @param {number} sin @param {number} mirror */
  #edges(cos, sin, mirror) {
    const orientation = this.series?.orientation;
    if (!orientation) return this.edges(null);
    const row = times(orientation.row, mirror);
    const { col } = orientation;
    // The screen's right and down in the patient, after the turn.
    const right = [0, 1, 2].map((axis) => cos * row[axis] - sin * col[axis]);
    const down = [0, 1, 2].map((axis) => sin * row[axis] + cos * col[axis]);
    return this.edges(edgeLetters(/** @type {any} */ (right), /** @type {any} */ (down)));
  }

  /** Larger pictures for larger fields, when it has been quiet. */
  #sharpen = afterPause(300, () => {
    const { reader } = this;
    if (!reader || !this.isConnected) return;
    const { columns, rows } = this.#content();
    const needed = Math.max(columns, rows) * this.#fit * this.zoom * (window.devicePixelRatio || 1);
    const before = reader.restPath(reader.index);
    reader.needed_px = needed;
    if (reader.restPath(reader.index) !== before) reader.changed();
  });

  /** The window that is asked for, in numbers. @returns {Window | null} */
  get windowNow() {
    return this.reader?.window ?? (this.series ? ownWindows(this.series)[0] ?? null : null);
  }

  /** @param {import("../tools/stack-reader.js").Shown} shown */
  #shown(shown) {
    this.standing = shown.tile > 0;
    this.paint(shown.picture.bitmap);
    this.working(false);
    this.#follow();
    this.arrange();
    this.dataset.index = String(shown.index);
    this.dispatchEvent(new Event("change"));
    if (this.playing) this.#next();
  }

  /** The picture at hand, adjusted to the window that is wanted. */
  #follow() {
    const { reader } = this;
    const wanted = this.windowNow;
    // Colors are not on the line that grey levels move along.
    if (!reader?.shown || !wanted || this.series?.color || isColored(reader.look)) return this.echo(null);
    const had = reader.shown.window ?? (this.series ? ownWindows(this.series)[0] : null);
    if (!had) return this.echo(null);
    const inverted = reader.shown.inverted !== !!this.series?.inverted;
    const line = same(had, wanted) ? { slope: 1, intercept: 0 } : echo(had, wanted, inverted);
    if (reader.shown.inverted === reader.inverted) return this.echo(line);
    return this.echo({ slope: -line.slope, intercept: 1 - line.intercept });
  }

  #write() {
    const { reader, series } = this;
    if (!reader || !series) return;
    const { position_mm } = reader.frame;
    const shownQuality = reader.shown?.picture.quality ?? "";
    const waiting = !!reader.shown && (reader.shown.index !== reader.index || !same(reader.shown.window, reader.window) || reader.shown.inverted !== reader.inverted);
    const reduced = !!reader.shown && this.canvas.width < reader.frame.columns && shownQuality === "lossless";
    const window = this.windowNow;
    this.corner("tl", this.texts.tl);
    this.corner("tr", [...this.texts.tr, ...this.warnings([...(series.warnings ?? []).slice(0, 1), ...(reader.shown?.picture.warnings ?? [])])]);
    this.corner("bl", [
      [series.modality, series.number !== null ? t("series.number", { number: String(series.number) }) : "", series.description].filter(Boolean).join(" · "),
      t("viewer.frame", { index: reader.index + 1, count: reader.count }) + (position_mm === null || position_mm === undefined ? "" : ` · ${number(position_mm, 1)} mm`)
        + (typeof reader.frame.time_ms === "number" ? ` · ${t("viewer.time", { time: number(reader.frame.time_ms, 0) })}` : ""),
      this.book && isKey(this.book, reader.frame) && h("div", { class: "key-image" }, icon("star"), t("kind.key")),
    ]);
    const scale = this.#fit * this.zoom * (globalThis.devicePixelRatio || 1);
    this.corner("br", [
      ...this.#lookTold(),
      !series.color && window ? t("viewer.window", { center: number(window.center, 2), width: number(window.width, 2) }) : "",
      `${t("viewer.zoom")} ${number(scale * 100, 0)} %`,
      this.quality(waiting ? "preview" : shownQuality, [reduced && t("quality.reduced"), series.lossy && t("quality.source")].filter(Boolean).join(" ")),
    ]);
  }

  /** How the picture is not as usual: nothing of this may go unseen. */
  #lookTold() {
    const { palette, band, interpolation, overlay, shutter } = this.look;
    const { color, units } = /** @type {SeriesContents} */ (this.series);
    return [
      band && !color && h("div", { class: "highlighted" }, t("look.highlighted", { low: number(band.low, 2), high: number(band.high, 2), units: units ?? "" }).trim()),
      palette && !color && t(`palette.${palette}`),
      interpolation && t(`interpolation.${interpolation}`),
      !overlay && t("look.no-overlay"),
      !shutter && t("look.no-shutter"),
    ];
  }

  #gestures() {
    const reader = /** @type {StackReader} */ (this.reader);
    this.dataset.hand = this.tool;
    gestures(this, {
      ...byHands(this, "stack", () => this.dispatchEvent(new CustomEvent("double", { bubbles: true }))),
      wheel: (steps) => {
        this.play(false);
        this.go(reader.index + steps);
      },
      zoom: (factor, at) => this.zoomBy(factor, at),
      shift: (dx, dy) => this.panBy(dx, dy),
    }, this.signal);
  }

  /** @param {number} index */
  go(index) {
    this.reader?.go(index);
    this.#follow();
    this.#write();
    this.dispatchEvent(new Event("change"));
    this.dispatchEvent(new Event("arranged"));
  }

  /** @param {Window | null} window null for the file's */
  setWindow(window) {
    if (!this.reader) return;
    this.reader.setWindow(window);
    this.#follow();
    this.#write();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {import("../model/formats.js").Format} format */
  setFormat(format) {
    this.format = format;
    if (!this.reader) return;
    this.reader.format = format;
    this.reader.changed();
  }

  /** @returns {import("../model/look.js").Look} */
  get look() {
    return this.reader?.look ?? PLAIN;
  }

  /** @param {Partial<import("../model/look.js").Look>} change */
  setLook(change) {
    if (!this.reader) return;
    this.reader.look = { ...this.reader.look, ...change };
    this.#smooth();
    this.#follow();
    this.reader.changed();
    this.arrange();
    this.dispatchEvent(new Event("change"));
  }

  #smooth() {
    const { interpolation } = this.look;
    this.squares = interpolation ? interpolation === "nearest" : undefined;
  }

  /** @param {(cine: Cine) => void} change */
  setCine(change) {
    if (!this.cine) return;
    change(this.cine);
    this.dispatchEvent(new Event("change"));
  }

  /** A window for what is in view, from the node. */
  async autoWindow() {
    const { node, reader, series } = this;
    if (!node || !reader || !series || series.color) return;
    const corners = [{ x: 0, y: 0 }, { x: this.width, y: 0 }, { x: 0, y: this.height }, { x: this.width, y: this.height }].map((at) => this.fromScreen(at));
    const { columns, rows } = reader.frame;
    const [xs, ys] = [corners.map((one) => clamp(one.x, 0, columns)), corners.map((one) => clamp(one.y, 0, rows))];
    try {
      const { window } = await autoWindow(node, this.study, series.series_uid, reader.frame, [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]);
      if (this.reader === reader) this.setWindow({ center: window.center, width: window.width, function: window.function });
    } catch (error) {
      notice(asProblem(error).message, "bad");
    }
  }

  invert() {
    if (!this.reader) return;
    this.reader.inverted = !this.reader.inverted;
    this.#follow();
    this.reader.changed();
    this.#write();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} factor @param {{x: number, y: number}} at stays where it is */
  zoomBy(factor, at) {
    const next = clamp(this.zoom * factor, 0.1, 40);
    const k = next / this.zoom;
    const [cx, cy] = [at.x - this.width / 2, at.y - this.height / 2];
    this.pan = { x: cx - (cx - this.pan.x) * k, y: cy - (cy - this.pan.y) * k };
    this.zoom = next;
    this.arrange();
    this.#sharpen();
  }

  /** @param {number} dx @param {number} dy CSS px */
  panBy(dx, dy) {
    this.pan = { x: this.pan.x + dx, y: this.pan.y + dy };
    this.arrange();
  }

  /** What a double click does where no cell is to be enlarged. */
  home() {
    this.fit();
  }

  fit() {
    this.zoom = 1;
    this.pan = { x: 0, y: 0 };
    this.arrange();
    this.#sharpen();
  }

  /** One stored pixel is one pixel of the screen. */
  original() {
    this.zoom = 1 / (this.#fit * (window.devicePixelRatio || 1));
    this.pan = { x: 0, y: 0 };
    this.arrange();
    this.#sharpen();
  }

  turn() {
    this.turns = (this.turns + 1) % 4;
    this.arrange();
  }

  mirror() {
    this.mirrored = !this.mirrored;
    this.arrange();
  }

  reset() {
    this.turns = 0;
    this.mirrored = false;
    if (this.reader) {
      this.reader.inverted = false;
      this.reader.look = { ...PLAIN };
    }
    this.#smooth();
    this.fit();
    this.setWindow(null);
    this.reader?.changed();
  }

  /** @param {boolean} [yes] */
  play(yes = !this.playing) {
    if (yes === this.playing) return;
    this.playing = yes;
    clearTimeout(this.#playTimer);
    if (yes && this.cine) this.cine.open = true;
    this.#played_ms = performance.now();
    if (yes) this.#next();
    this.dispatchEvent(new Event("change"));
  }

  /** The next frame when its time has come and this one has been seen. */
  #next() {
    clearTimeout(this.#playTimer);
    const reader = /** @type {StackReader} */ (this.reader);
    if (reader.shown?.index !== reader.index) return;
    const cine = /** @type {Cine} */ (this.cine);
    // Counted from when this frame was due, so that what it took to come does not make playing slower.
    const due_ms = Math.max(this.#played_ms + cine.pause_ms(reader.index), performance.now());
    this.#playTimer = window.setTimeout(() => {
      this.#played_ms = due_ms;
      const next = cine.next(reader.index);
      if (next === reader.index) this.play(false);
      else this.go(next);
    }, due_ms - performance.now());
  }
}
customElements.define("sivr-stack-view", StackView);

/** @param {StackView} view */
const grab = (view) => {
  view.play(false);
  view.grabbed = view.windowNow;
  view.scrolled = 0;
};

addHands("stack", {
  window: {
    begin: grab,
    drag: (/** @type {StackView} */ view, move) => {
      if (!view.grabbed || view.series?.color) return;
      if (view.reader) view.reader.held = true;
      view.setWindow(dragged(view.grabbed, move.x - move.fromX, move.y - move.fromY, view.series?.value_range ?? null));
    },
    end: (/** @type {StackView} */ view) => view.reader?.letGo(),
  },
  pan: { begin: grab, drag: (/** @type {StackView} */ view, move) => view.panBy(move.dx, move.dy) },
  zoom: { begin: grab, drag: (/** @type {StackView} */ view, move) => view.zoomBy(Math.exp(-move.dy / 150), { x: move.fromX, y: move.fromY }) },
  scroll: {
    begin: grab,
    drag: (/** @type {StackView} */ view, move) => {
      const reader = /** @type {StackReader} */ (view.reader);
      view.scrolled += move.dy;
      const step = clamp(view.height / Math.max(reader.count, 1), 4, 24);
      const steps = Math.trunc(view.scrolled / step);
      if (!steps) return;
      view.scrolled -= steps * step;
      view.go(reader.index + steps);
    },
  },
});
