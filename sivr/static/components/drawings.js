// @ts-check
/**
 * Annotations over a stack: drawn in an SVG over the picture, taken by the mouse, a finger or the keyboard. Points are kept
 * in frame coordinates, so that they stay on their pixels however the picture lies.
 */
import { afterPause, fill, perFrame, svg } from "../lib/dom.js";
import { asProblem } from "../net/http.js";
import { shapeStatistics } from "../net/annotations.js";
import { t } from "../model/language.js";
import { KINDS, crossAxis, ellipseIn, ellipseOf, labelLines, spacingAt } from "../model/measuring.js";

/** @typedef {import("../net/annotations.js").Annotation} Annotation */
/** @typedef {import("../model/measuring.js").Point} Point */
/** @typedef {import("./stack-view.js").StackView} StackView */
/** @typedef {{kind: string, points: Point[], fixed: number, fresh: boolean, far: boolean}} Draft */

const COLORS = { mine: "#ffd24a", others: "#6fd3ff" };
const LINE_PX = 17;
const KEPT_STATISTICS = 400;

/** Figures by what they were counted from, for every view. @type {Map<string, any>} */
const counted = new Map();

/** @param {Annotation} one @returns {Point[]} */
const pointsOf = (one) => one.points.map(([x, y]) => ({ x, y }));
/** @param {Point[]} points */
const plain = (points) => points.map(({ x, y }) => [Math.round(x * 1000) / 1000, Math.round(y * 1000) / 1000]);

export class Drawings {
  /** Id of the chosen annotation. */
  chosen = "";
  /** Which of its handles the keys move; -1 all of it. */
  handle = -1;
  /** @type {Draft | null} */
  draft = null;
  #group = svg("g", { class: "drawings" });
  /** @type {AbortController | null} */
  #counting = null;

  /** @param {StackView} view @param {import("../tools/annotation-book.js").AnnotationBook} book */
  constructor(view, book) {
    this.view = view;
    this.book = book;
    view.layer.append(this.#group);
    view.layer.classList.add("touchable");
    view.listen(book, "change", () => this.draw());
    view.listen(view, "arranged", () => this.draw());
    view.listen(view.layer, "pointerdown", (event) => this.#grab(event));
    view.signal.addEventListener("abort", () => {
      this.#counting?.abort();
      this.#group.remove();
    });
    book.open(view.signal);
  }

  /** Of the picture that is on the screen. */
  get index() {
    return this.view.reader?.shown?.index ?? this.view.reader?.index ?? 0;
  }

  get series() {
    return /** @type {import("../model/types.js").SeriesContents} */ (this.view.series);
  }

  get place() {
    const frame = this.series.frames[this.index];
    return { on: /** @type {const} */ ("frame"), series_uid: this.series.series_uid, instance_uid: frame.instance_uid, frame: frame.frame };
  }

  /** @returns {Annotation[]} */
  get shown() {
    const { instance_uid, frame } = this.place;
    return this.book.onFrame(instance_uid, frame).filter((one) => this.book.shows(one));
  }

  /** @returns {Annotation | undefined} */
  get selected() {
    const one = this.book.items.get(this.chosen);
    return one && this.shown.includes(one) ? one : undefined;
  }

  /** @param {string} id @param {number} [handle] */
  choose(id, handle = -1) {
    const changed = this.chosen !== id;
    this.chosen = id;
    this.handle = handle;
    this.draw();
    if (changed) this.book.dispatchEvent(new CustomEvent("chosen", { detail: id }));
    this.view.dispatchEvent(new Event("change"));
  }

  draw = perFrame(() => {
    if (!this.view.isConnected || !this.view.reader) return;
    /** @type {SVGElement[]} */
    const made = [];
    // Key images have their sign in a corner; here stands what is said of them.
    const whole = this.shown.filter((one) => !KINDS[one.kind]?.points && (one.text || one.name));
    for (const one of this.shown) if (KINDS[one.kind]?.points) made.push(this.#one(one));
    if (this.draft) made.push(this.#shape(this.draft.kind, this.#draftPoints(), COLORS.mine, "drawing draft", this.#label({ kind: this.draft.kind, points: this.#draftPoints(), name: "", text: "" })));
    if (whole.length) made.push(this.#banner(whole));
    this.#group.replaceChildren(...made);
    this.#count();
  });

  /** @param {Annotation} one */
  #one(one) {
    const chosen = one.id === this.chosen;
    const points = pointsOf(one);
    const mine = this.book.mine(one);
    const color = one.color || (mine ? COLORS.mine : COLORS.others);
    const label = this.#label({ kind: one.kind, points, name: one.name, text: one.text }, counted.get(this.#key(one)));
    const group = this.#shape(one.kind, points, color, chosen ? "drawing chosen" : "drawing", label);
    group.dataset.annotation = one.id;
    group.dataset.kind = one.kind;
    if (chosen && mine) group.append(...this.#handles(one));
    return group;
  }

  /** @param {{kind: string, points: Point[], name: string, text: string}} drawing @param {any} [statistics] */
  #label(drawing, statistics) {
    return drawing.points.length >= this.#least(drawing.kind) ? labelLines(drawing, spacingAt(this.series, this.index, drawing.points), statistics) : [];
  }

  /** @param {string} kind */
  #least = (kind) => ({ angle: 3, cobb: 4, ellipse: 4, bidirectional: 4, freehand: 3, probe: 1, text: 1 })[kind] ?? 2;

  /** Lines and outlines, twice: wide and unseen for the hand, thin for the eye. @param {string} kind @param {Point[]} points @param {string} color @param {string} name @param {string[]} label */
  #shape(kind, points, color, name, label) {
    const to = (/** @type {Point} */ point) => this.view.toScreen(point);
    const group = svg("g", { class: name, stroke: color, fill: color });
    for (const d of this.#paths(kind, points)) group.append(svg("path", { d, class: "grip" }), svg("path", { d, class: "line" }));
    if (kind === "probe") {
      const { x, y } = to(points[0]);
      const d = `M${x - 8} ${y}h5M${x + 3} ${y}h5M${x} ${y - 8}v5M${x} ${y + 3}v5`;
      group.append(svg("circle", { cx: x, cy: y, r: 10, class: "grip" }), svg("path", { d, class: "line" }));
    }
    if (label.length) group.append(this.#text(kind, points.map(to), label));
    return group;
  }

  /** @param {string} kind @param {Point[]} points @returns {string[]} */
  #paths(kind, points) {
    const to = (/** @type {Point} */ point) => this.view.toScreen(point);
    const line = (/** @type {Point[]} */ some, closed = false) => some.map(to).map(({ x, y }, at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") + (closed ? "Z" : "");
    if (kind === "probe" || kind === "text" || points.length < 2) return [];
    if (kind === "rectangle") return [line([points[0], { x: points[1].x, y: points[0].y }, points[1], { x: points[0].x, y: points[1].y }], true)];
    if (kind === "circle" || kind === "ellipse") return [this.#round(kind, points)];
    if (kind === "freehand") return [line(points, true)];
    if (kind === "cobb" || kind === "bidirectional") return [line(points.slice(0, 2)), ...(points.length > 3 ? [line(points.slice(2, 4))] : points.length === 3 ? [] : [])];
    if (kind === "arrow") return [line(points), this.#head(to(points[0]), to(points[1]))];
    return [line(points)];
  }

  /** @param {string} kind @param {Point[]} points */
  #round(kind, points) {
    let [center, first, second] = [points[0], { x: 0, y: 0 }, { x: 0, y: 0 }];
    if (kind === "circle") {
      const { step_x, step_y } = spacingAt(this.series, this.index, points);
      const radius = Math.hypot((points[1].x - center.x) * step_x, (points[1].y - center.y) * step_y);
      [first, second] = [{ x: radius / step_x, y: 0 }, { x: 0, y: radius / step_y }];
    } else ({ center, first, second } = ellipseOf(points));
    const steps = 72;
    const around = Array.from({ length: steps }, (_, at) => {
      const [cos, sin] = [Math.cos((at / steps) * 2 * Math.PI), Math.sin((at / steps) * 2 * Math.PI)];
      return this.view.toScreen({ x: center.x + first.x * cos + second.x * sin, y: center.y + first.y * cos + second.y * sin });
    });
    return `${around.map(({ x, y }, at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("")}Z`;
  }

  /** @param {Point} tip @param {Point} tail CSS px */
  #head(tip, tail) {
    const along = Math.atan2(tail.y - tip.y, tail.x - tip.x);
    const side = (/** @type {number} */ turn) => `${tip.x + 14 * Math.cos(along + turn)} ${tip.y + 14 * Math.sin(along + turn)}`;
    return `M${side(0.4)}L${tip.x} ${tip.y}L${side(-0.4)}`;
  }

  /** @param {string} kind @param {Point[]} points CSS px @param {string[]} lines */
  #text(kind, points, lines) {
    const { width, height } = this.view;
    const anchor = kind === "arrow" ? points[1] : kind === "text" ? points[0] : points.reduce((best, one) => (one.x > best.x ? one : best));
    const wide = Math.max(...lines.map((one) => one.length)) * 7.6;
    const right = anchor.x + 12 + wide < width;
    const y = Math.min(Math.max(anchor.y + 5, 18), Math.max(18, height - LINE_PX * lines.length));
    const x = right ? anchor.x + 12 : Math.max(wide + 4, anchor.x - 12);
    const text = svg("text", { x, y, class: "label", "text-anchor": right ? "start" : "end" });
    lines.forEach((line, at) => {
      const part = svg("tspan", { x, dy: at ? LINE_PX : 0 });
      part.textContent = line;
      text.append(part);
    });
    return text;
  }

  /** What is said of the whole frame. @param {Annotation[]} whole */
  #banner(whole) {
    const group = svg("g", { class: "drawing whole" });
    whole.slice(0, 6).forEach((one, at) => {
      const words = one.kind === "key" ? `★ ${one.text || one.name}` : `▸ ${one.text}`;
      const text = svg("text", { x: this.view.width / 2, y: 28 + at * 20, class: one.id === this.chosen ? "label chosen" : "label", "text-anchor": "middle", fill: one.color || (this.book.mine(one) ? COLORS.mine : COLORS.others) });
      text.textContent = words.slice(0, 120);
      text.dataset.annotation = one.id;
      group.append(text);
    });
    return group;
  }

  /** Where the hand can take it, frame coordinates. @param {Annotation} one @returns {Point[]} */
  handlesOf(one) {
    const points = pointsOf(one);
    if (one.kind === "freehand") return points.length > 24 ? [] : points;
    if (one.kind === "rectangle") return [points[0], { x: points[1].x, y: points[0].y }, points[1], { x: points[0].x, y: points[1].y }];
    return points;
  }

  /** @param {Annotation} one */
  #handles(one) {
    return this.handlesOf(one).flatMap((point, at) => {
      const { x, y } = this.view.toScreen(point);
      return [
        svg("circle", { cx: x, cy: y, r: 16, class: "handle-grip", "data-handle": at }),
        svg("circle", { cx: x, cy: y, r: at === this.handle ? 7 : 5, class: at === this.handle ? "handle now" : "handle", "data-handle": at }),
      ];
    });
  }

  // Editing

  /** The points after a handle (-1: all of it) went by so much. @param {Annotation} one @param {Point[]} points @param {number} handle @param {number} dx @param {number} dy @returns {Point[]} */
  #moved(one, points, handle, dx, dy) {
    const by = (/** @type {Point} */ point) => ({ x: point.x + dx, y: point.y + dy });
    if (handle < 0) return points.map(by);
    if (one.kind === "rectangle") {
      const [a, b] = points;
      return [{ x: a.x + (handle === 0 || handle === 3 ? dx : 0), y: a.y + (handle < 2 ? dy : 0) }, { x: b.x + (handle === 1 || handle === 2 ? dx : 0), y: b.y + (handle > 1 ? dy : 0) }];
    }
    if (one.kind === "circle" && handle === 0) return points.map(by);
    if (one.kind === "ellipse") {
      // One end of an axis: the other stays, the other axis keeps its length and goes through the new middle.
      const { first, second } = ellipseOf(points);
      const [from, to] = handle % 2 ? [points[handle - 1], by(points[handle])] : [by(points[handle]), points[handle + 1]];
      const center = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
      const other = handle < 2 ? second : first;
      const turned = this.#across(handle < 2 ? first : second, { x: (to.x - from.x) / 2, y: (to.y - from.y) / 2 }, other);
      const across = [{ x: center.x - turned.x, y: center.y - turned.y }, { x: center.x + turned.x, y: center.y + turned.y }];
      return handle < 2 ? [from, to, ...across] : [...across, from, to];
    }
    return points.map((point, at) => (at === handle ? by(point) : point));
  }

  /** The other axis, turned with this one so that both stay at right angles. @param {Point} was @param {Point} is @param {Point} other */
  #across(was, is, other) {
    const turn = Math.atan2(is.y, is.x) - Math.atan2(was.y, was.x);
    return { x: other.x * Math.cos(turn) - other.y * Math.sin(turn), y: other.x * Math.sin(turn) + other.y * Math.cos(turn) };
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    const target = /** @type {SVGElement} */ (event.target);
    const id = /** @type {SVGElement | null} */ (target.closest("[data-annotation]"))?.dataset.annotation;
    if (!id || event.button > 0 || event.ctrlKey || event.shiftKey || event.metaKey || this.draft) return;
    // With a drawing tool in the hand only what is chosen is taken hold of: another may begin where one lies.
    if (this.view.tool in KINDS && id !== this.chosen) return;
    event.stopPropagation();
    event.preventDefault();
    this.view.focus({ preventScroll: true });
    const one = /** @type {Annotation} */ (this.book.items.get(id));
    const handle = target.dataset.handle === undefined ? -1 : Number(target.dataset.handle);
    this.choose(id, handle);
    if (!this.book.mine(one) || !one.points.length) return;
    const box = this.view.getBoundingClientRect();
    const at = (/** @type {PointerEvent} */ move) => this.view.fromScreen({ x: move.clientX - box.left, y: move.clientY - box.top });
    const [from, points] = [at(event), pointsOf(one)];
    let moved = false;
    const end = new AbortController();
    const { layer } = this.view;
    layer.setPointerCapture(event.pointerId);
    const options = { signal: end.signal };
    layer.addEventListener("pointermove", (move) => {
      const now = at(move);
      if (!moved && Math.hypot(move.clientX - event.clientX, move.clientY - event.clientY) < 3) return;
      moved = true;
      this.book.change(id, { points: plain(this.#moved(one, points, handle, now.x - from.x, now.y - from.y)) }, true);
    }, options);
    const done = (/** @type {PointerEvent} */ up) => {
      end.abort();
      if (moved) this.book.change(id, { points: up.type === "pointercancel" ? plain(points) : one.points });
    };
    layer.addEventListener("pointerup", done, options);
    layer.addEventListener("pointercancel", done, options);
  }

  /** Move what is chosen, or its handle, by so many pixels of the frame. @param {number} dx @param {number} dy */
  nudge(dx, dy) {
    const one = this.selected;
    if (!one || !this.book.mine(one) || !one.points.length) return;
    this.book.change(one.id, { points: plain(this.#moved(one, pointsOf(one), this.handle, dx, dy)) });
    this.#say(one);
  }

  /** The next handle: all of it, then one after the other. */
  nextHandle() {
    const one = this.selected;
    if (!one) return;
    const count = this.handlesOf(one).length;
    this.choose(one.id, this.handle + 1 >= count ? -1 : this.handle + 1);
  }

  /** The next annotation of the frame. @param {1 | -1} step */
  next(step) {
    const all = this.shown;
    if (!all.length) return;
    const at = all.findIndex((one) => one.id === this.chosen);
    const one = all[(at + step + all.length + (at < 0 && step < 0 ? 1 : 0)) % all.length];
    this.choose(one.id);
    this.#say(one);
  }

  remove() {
    const one = this.selected;
    if (one) this.book.remove(one.id);
    this.choose("");
  }

  /** @returns {boolean} whether there was something to leave */
  leave() {
    const had = !!this.draft || !!this.chosen;
    this.draft = null;
    this.choose("");
    return had;
  }

  /** For those who do not see the picture. @param {Annotation} one */
  #say(one) {
    const label = this.#label({ kind: one.kind, points: pointsOf(one), name: one.name, text: one.text }, counted.get(this.#key(one)));
    this.view.dispatchEvent(new CustomEvent("said", { bubbles: true, detail: t("measure.said", { kind: t(`kind.${one.kind}`), label: label.join(", ") }) }));
  }

  // Drawing

  /** @returns {Point[]} */
  #draftPoints() {
    const draft = /** @type {Draft} */ (this.draft);
    return this.#complete(draft.kind, draft.points);
  }

  /** What the hand gave, as it is kept: boxes become axes, long axes get short ones. @param {string} kind @param {Point[]} points */
  #complete(kind, points) {
    if (kind === "ellipse" && points.length === 2) return ellipseIn(points[0], points[1]);
    if (kind === "bidirectional" && points.length === 2) return [...points, ...crossAxis(points[0], points[1], spacingAt(this.series, this.index, points))];
    return points;
  }

  /** @param {string} kind @param {Point} at frame coordinates */
  begin(kind, at) {
    const { draft } = this;
    this.choose("");
    if (!draft || draft.kind !== kind) this.draft = { kind, points: KINDS[kind].points === 1 ? [at] : [at, { ...at }], fixed: 1, fresh: true, far: false };
    else {
      draft.fresh = draft.far = false;
      draft.points[draft.points.length - 1] = at;
    }
    this.draw();
  }

  /** @param {Point} at */
  drag(at) {
    const { draft } = this;
    if (!draft) return;
    const kind = KINDS[draft.kind];
    if (kind.traced) {
      const last = this.view.toScreen(draft.points[draft.points.length - 1]);
      const now = this.view.toScreen(at);
      if (Math.hypot(now.x - last.x, now.y - last.y) >= 3) draft.points.push(at);
    } else {
      // The second line of two begins where the hand went down.
      if (!draft.far && !draft.fresh && kind.pairs && draft.fixed % 2 === 0) {
        draft.fixed += 1;
        draft.points.push({ ...at });
      }
      draft.points[draft.points.length - 1] = at;
    }
    draft.far = true;
    this.draw();
  }

  /** The hand was lifted after a drag, or tapped. @param {boolean} tapped */
  lift(tapped) {
    const { draft } = this;
    if (!draft || (!tapped && !draft.far)) return;
    const kind = KINDS[draft.kind];
    if (kind.points === 1 || (kind.traced && draft.far)) return this.finish();
    if (tapped && (draft.fresh || kind.traced)) {
      if (kind.traced) this.leave();
      return undefined;
    }
    draft.fixed += 1;
    draft.far = false;
    if (draft.fixed >= kind.points) return this.finish();
    draft.points.push({ ...draft.points[draft.points.length - 1] });
    this.draw();
    return undefined;
  }

  /** The mouse moves while points are set one by one. @param {Point} at */
  hover(at) {
    const { draft } = this;
    if (!draft || KINDS[draft.kind].traced) return;
    draft.points[draft.points.length - 1] = at;
    draft.fresh = false;
    this.draw();
  }

  /** A double click, or Enter: a line of any number of points ends here. */
  close() {
    const { draft } = this;
    if (!draft || KINDS[draft.kind].points !== Infinity) return;
    draft.points = draft.points.filter((point, at) => !at || Math.hypot(point.x - draft.points[at - 1].x, point.y - draft.points[at - 1].y) > 0.01);
    if (draft.points.length >= this.#least(draft.kind)) this.finish();
    else this.leave();
  }

  /** What is drawn becomes an annotation. */
  finish() {
    const draft = /** @type {Draft} */ (this.draft);
    this.draft = null;
    let points = this.#complete(draft.kind, draft.points);
    const small = points.length > 1 && points.every((point) => Math.hypot(point.x - points[0].x, point.y - points[0].y) < 0.2);
    if (points.length < this.#least(draft.kind) || small) return this.draw();
    if (points.length > 1024) points = points.filter((_, at) => at % Math.ceil(points.length / 1024) === 0);
    this.make(draft.kind, points);
    return undefined;
  }

  /** @param {string} kind @param {Point[]} points */
  make(kind, points) {
    const ask = KINDS[kind].words && kind !== "arrow" ? "needed" : KINDS[kind].words ? "offered" : "";
    const drawing = { kind, place: this.place, points: plain(points), name: "", text: "", color: "", visibility: /** @type {const} */ ("everyone") };
    const keep = (/** @type {string} */ text) => {
      const id = this.book.add({ ...drawing, text });
      this.choose(id);
      this.#say(/** @type {Annotation} */ (this.book.items.get(id)));
    };
    if (ask) this.view.dispatchEvent(new CustomEvent("words", { bubbles: true, detail: { kind, needed: ask === "needed", keep } }));
    else keep("");
    this.draw();
  }

  /** One of a fitting size in the middle of the field, for the keyboard. @param {string} kind */
  placeInMiddle(kind) {
    if (this.draft) return this.close();
    const middle = this.view.fromScreen({ x: this.view.width / 2, y: this.view.height / 2 });
    const edge = this.view.fromScreen({ x: this.view.width / 2 + Math.min(this.view.width, this.view.height) / 8, y: this.view.height / 2 });
    const size = Math.max(2, Math.round(Math.hypot(edge.x - middle.x, edge.y - middle.y)));
    const at = (/** @type {number} */ dx, /** @type {number} */ dy) => ({ x: Math.floor(middle.x) + 0.5 + dx * size, y: Math.floor(middle.y) + 0.5 + dy * size });
    /** @type {Record<string, Point[]>} */
    const points = {
      length: [at(-1, 0), at(1, 0)], polyline: [at(-1, 0), at(0, 1), at(1, 0)], angle: [at(-1, 0), at(0, 0), at(0, -1)], cobb: [at(-1, -1), at(1, -1), at(-1, 1), at(1, 1)],
      rectangle: [at(-1, -1), at(1, 1)], ellipse: ellipseIn(at(-1, -1), at(1, 1)), circle: [at(0, 0), at(1, 0)], freehand: [at(-1, -1), at(1, -1), at(1, 1), at(-1, 1)],
      bidirectional: this.#complete("bidirectional", [at(-1, 0), at(1, 0)]), probe: [at(0, 0)], text: [at(0, 0)], arrow: [at(0, 0), at(1, 1)],
    };
    if (points[kind]) this.make(kind, points[kind]);
    return undefined;
  }

  /** The frame is a key image, or is none any more. */
  toggleKey() {
    const mine = this.shown.find((one) => one.kind === "key" && this.book.mine(one));
    if (mine) this.book.remove(mine.id);
    else this.book.add({ kind: "key", place: this.place, points: [], name: "", text: "", color: "", visibility: "everyone" });
    this.view.dispatchEvent(new Event("change"));
  }

  // Figures

  /** @param {Annotation} one */
  #key(one) {
    const { place } = one;
    return place.on === "frame" ? `${place.instance_uid}/${place.frame}/${one.kind}/${JSON.stringify(one.points)}` : "";
  }

  /** Ask the server for the values of what is shown and not yet known, when the hand rests. */
  #count = afterPause(120, async () => {
    const { node, study } = this.view;
    const missing = this.shown.filter((one) => KINDS[one.kind]?.shape && !counted.has(this.#key(one)) && one.points.length);
    if (!missing.length || !node) return;
    this.#counting?.abort();
    const controller = (this.#counting = new AbortController());
    for (const one of missing) {
      const key = this.#key(one);
      try {
        const shape = /** @type {string} */ (KINDS[one.kind].shape);
        const found = await shapeStatistics(node, study, /** @type {any} */ (one.place), shape, one.points, controller.signal);
        counted.set(key, found);
        if (counted.size > KEPT_STATISTICS) counted.delete(/** @type {string} */ (counted.keys().next().value));
      } catch (error) {
        const problem = asProblem(error);
        if (controller.signal.aborted) return;
        // What has no values (color) is not asked for again; what failed on the way is.
        if (problem.status === 400) counted.set(key, { count: 0, figures: [] });
        else this.#countLater();
      }
      this.draw();
    }
  });

  #countLater = afterPause(5000, () => this.draw());
}
