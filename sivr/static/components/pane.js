// @ts-check
/**
 * A black field with one server picture, placed by a transform, and what is written over it: letters of orientation,
 * scale bar, corners, the badge that says how exact the picture is.
 */
import { fill, h, setText, svg, uniqueId } from "../lib/dom.js";
import { niceLength } from "../lib/geometry.js";
import { View } from "../lib/view.js";
import { number, t } from "../model/language.js";

/** @typedef {{left: string, right: string, top: string, bottom: string}} Letters */

export class Pane extends View {
  canvas = h("canvas", { width: 1, height: 1 });
  #drawing = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { alpha: true }));
  #filterId = uniqueId("echo");
  #functions = ["R", "G", "B"].map((channel) => svg(`feFunc${channel}`, { type: "linear", slope: 1, intercept: 0 }));
  #corners = {
    tl: h("div", { class: "corner tl" }), tr: h("div", { class: "corner tr" }),
    bl: h("div", { class: "corner bl" }), br: h("div", { class: "corner br" }),
  };
  #letters = {
    left: h("span", { class: "letter left" }), right: h("span", { class: "letter right" }),
    top: h("span", { class: "letter top" }), bottom: h("span", { class: "letter bottom" }),
  };
  #badge = h("span", { class: "quality" });
  /** @type {Map<string, HTMLElement>} */
  #warned = new Map();
  #scale = h("div", { class: "scale", hidden: true }, h("span", {}), h("i", {}));
  #message = h("div", { class: "pane-message", role: "alert", hidden: true });
  #busy = h("div", { class: "pane-busy", hidden: true }, h("span", { class: "spinner" }), h("span", {}));
  #busyTimer = 0;
  /** Over the picture, in CSS pixels. */
  layer = svg("svg", { class: "layer", "aria-hidden": "true" });
  width = 1;
  height = 1;
  /** Whether a small picture stands in for a larger one: its pixels are nothing to look at. */
  standing = false;
  /** Whether large pixels are shown as squares; undefined: where they are very large. @type {boolean | undefined} */
  squares;

  start() {
    this.classList.add("pane");
    this.tabIndex = 0;
    const filter = svg("svg", { class: "filters", width: 0, height: 0, "aria-hidden": "true" },
      svg("filter", { id: this.#filterId, "color-interpolation-filters": "sRGB", x: 0, y: 0, width: "100%", height: "100%" },
        svg("feComponentTransfer", {}, ...this.#functions)));
    fill(this, filter, this.canvas, this.layer, Object.values(this.#letters), Object.values(this.#corners), this.#scale, this.#busy, this.#message);
    const observer = new ResizeObserver(() => {
      const box = this.getBoundingClientRect();
      if (!box.width || !box.height) return;
      const first = this.width === 1;
      [this.width, this.height] = [box.width, box.height];
      this.resized(first);
    });
    observer.observe(this);
    this.signal.addEventListener("abort", () => observer.disconnect());
    this.listen(this, "contextmenu", (event) => event.preventDefault());
  }

  /** The field got another size. @param {boolean} _first */
  resized(_first) {}

  /** @param {ImageBitmap} bitmap */
  paint(bitmap) {
    const { canvas } = this;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    } else this.#drawing.clearRect(0, 0, canvas.width, canvas.height);
    this.#drawing.drawImage(bitmap, 0, 0);
    this.dataset.painted = String(Number(this.dataset.painted ?? 0) + 1);
    this.quiet();
  }

  clear() {
    this.canvas.width = this.canvas.width;
  }

  /**
   * Where the picture lies: CSS pixels from picture pixels, as a 2D matrix.
   * @param {number} a @param {number} b @param {number} c @param {number} d @param {number} e @param {number} f
   */
  place(a, b, c, d, e, f) {
    this.canvas.style.transform = `matrix(${a},${b},${c},${d},${e},${f})`;
    const magnified = Math.hypot(a, b) * (window.devicePixelRatio || 1);
    this.canvas.classList.toggle("pixels", this.squares ?? (magnified > 6 && !this.standing));
  }

  /** @param {{slope: number, intercept: number} | null} line through the grey levels, 0 to 1 */
  echo(line) {
    const same = !line || (Math.abs(line.slope - 1) < 1e-6 && Math.abs(line.intercept) < 1e-6);
    if (same) {
      this.canvas.style.filter = "";
      return;
    }
    for (const one of this.#functions) {
      one.setAttribute("slope", String(line.slope));
      one.setAttribute("intercept", String(line.intercept));
    }
    this.canvas.style.filter = `url(#${this.#filterId})`;
  }

  /** @param {"tl" | "tr" | "bl" | "br"} where @param {(string | Node | false | null | undefined)[]} lines */
  corner(where, lines) {
    const shown = lines.filter(Boolean);
    const element = this.#corners[where];
    // What stays the same stays there: nothing flickers, and nothing is read aloud twice.
    const same = element.childElementCount === shown.length
      && shown.every((line, index) => (line instanceof Node ? element.children[index] === line : !element.children[index].className));
    if (same) {
      shown.forEach((line, index) => line instanceof Node || setText(element.children[index], String(line)));
      return;
    }
    fill(element, shown.map((line) => (line instanceof Node ? line : h("div", {}, line))));
  }

  /** @param {Letters | null} letters */
  edges(letters) {
    for (const side of /** @type {("left" | "right" | "top" | "bottom")[]} */ (["left", "right", "top", "bottom"])) {
      setText(this.#letters[side], letters?.[side] ?? "");
    }
  }

  /** What is wrong with a picture, to be put into a corner. @param {string[]} sentences */
  warnings(sentences) {
    return sentences.map((sentence) => {
      const element = this.#warned.get(sentence) ?? h("div", { class: "warning" }, sentence);
      this.#warned.set(sentence, element);
      return element;
    });
  }

  /** The badge, to be put into a corner. @param {string} quality as the server says @param {string} [more] */
  quality(quality, more = "") {
    const [kind, detail = ""] = quality.split(" ");
    this.#badge.dataset.quality = kind;
    this.dataset.quality = kind;
    const word = kind ? t(`quality.${kind}`) : "";
    setText(this.#badge, [word, detail, more].filter(Boolean).join(" "));
    return this.#badge;
  }

  get badge() {
    return this.#badge;
  }

  /** @param {number | null} mm_per_px */
  scale(mm_per_px) {
    if (!mm_per_px || !Number.isFinite(mm_per_px)) {
      this.#scale.hidden = true;
      return;
    }
    const mm = niceLength(Math.min(this.width * 0.3, 260) * mm_per_px);
    this.#scale.hidden = false;
    /** @type {HTMLElement} */ (this.#scale.lastElementChild).style.width = `${mm / mm_per_px}px`;
    setText(/** @type {Element} */ (this.#scale.firstElementChild), mm >= 10 ? `${number(mm / 10)} cm` : `${number(mm, 3)} mm`);
  }

  /** Say why there is no picture. @param {string} sentence @param {...Node} more */
  say(sentence, ...more) {
    this.working(false);
    this.#message.hidden = false;
    fill(this.#message, h("p", {}, sentence), ...more);
  }

  quiet() {
    this.#message.hidden = true;
  }

  /**
   * Show that something is under way, but only when it takes a while.
   * @param {boolean} yes @param {string} [text]
   */
  working(yes, text = "") {
    clearTimeout(this.#busyTimer);
    if (!yes) {
      this.#busy.hidden = true;
      return;
    }
    setText(/** @type {Element} */ (this.#busy.lastElementChild), text);
    this.#busyTimer = window.setTimeout(() => (this.#busy.hidden = false), 250);
  }
}
