// @ts-check
/** The annotations of a study: find, name, color, hide, delete, undo; out to files and in from them. */
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { annotationDocument, annotationFile, annotationObjects, readAnnotations, readStored, takeAnnotations } from "../net/annotations.js";
import { asProblem } from "../net/http.js";
import { session } from "../net/session.js";
import { uploads } from "../net/uploads.js";
import "../model/messages/measure.js";
import { moment, t } from "../model/language.js";
import { KINDS, labelLines, spacingAt } from "../model/measuring.js";
import { askWords } from "./annotation-words.js";
import { notice, openDialog } from "./dialog.js";
import { seriesKey } from "./series-list.js";
import { empty } from "./states.js";
import { menu } from "./toolbar.js";

/** @typedef {import("../net/annotations.js").Annotation} Annotation */

/** Documents the node writes: path, file name, message. @type {[string, string, string][]} */
const DOCUMENTS = [
  ["structured-reports", "measurements-sr.dcm", "annotations.export.sr"],
  ["presentation-states", "measurements-pr.dcm", "annotations.export.pr"],
  ["key-object-selections", "key-images-ko.dcm", "annotations.export.ko"],
  ["plane-viewer-documents", "slices.json", "annotations.export.plane"],
];

/** Hand a file to the browser. @param {Blob} blob @param {string} name */
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export class AnnotationList extends View {
  /** @type {import("../tools/open-study.js").OpenStudy | null} */
  study = null;
  /** @type {import("./workspace.js").Workspace | null} */
  workspace = null;
  /** @type {import("./action-bar.js").Page | null} */
  page = null;
  #head = h("div", { class: "annotations-head" });
  #whose = h("div", {});
  #list = h("ul", { class: "annotation-list" });
  #state = h("span", { class: "annotations-state", role: "status" });

  get book() {
    return this.#study.book;
  }

  get #study() {
    return /** @type {import("../tools/open-study.js").OpenStudy} */ (this.study);
  }

  start() {
    fill(this, this.#head, this.#whose, this.#list);
    this.book.open(this.signal);
    this.listen(this.book, "change", () => this.#draw());
    this.listen(this.book, "chosen", () => this.#mark());
    this.listen(this.book, "state", () => this.#drawState());
    this.listen(this.book, "conflict", () => notice(t("annotations.conflict")));
    this.listen(this.book, "refused", (event) => notice(event.detail, "bad"));
    this.#drawHead();
    this.#draw();
    this.#drawState();
  }

  #button(/** @type {string} */ sign, /** @type {string} */ label, /** @type {() => void} */ work, /** @type {Record<string, any>} */ more = {}) {
    return h("button", { type: "button", class: "plain icon-only", "aria-label": t(label), title: t(label), onclick: work, ...more }, icon(sign));
  }

  #drawHead() {
    const item = (/** @type {string} */ label, /** @type {() => void} */ work, /** @type {string} */ name) => h("button", { type: "button", class: "plain choice", "data-value": name, onclick: (/** @type {Event} */ event) => {
      /** @type {HTMLElement} */ (event.currentTarget).closest("details")?.removeAttribute("open");
      work();
    } }, t(label));
    const own = session.user?.institutions.includes(this.#study.site.id);
    const out = menu("file", t("annotations.export"), [
      item("annotations.export.json", () => this.#doing(async () => save(await annotationFile(this.#study.institution, this.#study.uid), "annotations.json")), "json"),
      ...DOCUMENTS.map(([form, name, label]) => item(label, () => this.#doing(async () => save(await this.#document(form), name)), form)),
      ...(own ? [item("annotations.store-sr", () => this.#doing(() => this.#store()), "store")] : []),
    ], "annotations-export");
    const input = h("input", { type: "file", class: "unseen", accept: ".json,.dcm,application/json,application/dicom", onchange: () => {
      const [file] = input.files ?? [];
      input.value = "";
      if (file) this.#doing(async () => this.#take(await readAnnotations(this.#study.node, this.#study.uid, this.workspace?.active.series?.series_uid ?? "", file)));
    } });
    fill(this.#head,
      this.#button("undo", "measure.undo", () => this.book.undo(), { "data-tool": "undo" }),
      this.#button("redo", "measure.redo", () => this.book.redo(), { "data-tool": "redo" }),
      this.#button("eye", "annotations.hide-all", () => this.book.toggle("hidden"), { "data-tool": "hide-all" }),
      out,
      h("label", { class: "plain button small", title: t("annotations.import") }, input, icon("upload"), t("annotations.import")),
      h("button", { type: "button", class: "plain small", "data-tool": "in-study", hidden: true, onclick: () => this.#doing(() => this.#readAll()) }, t("annotations.in-study")),
      this.#state);
    annotationObjects(this.#study.node, this.#study.uid).then(({ items }) => {
      const button = this.#head.querySelector("[data-tool=in-study]");
      if (button) /** @type {HTMLElement} */ (button).hidden = !items.length;
    }).catch(() => {});
  }

  /** @param {() => Promise<void>} work */
  async #doing(work) {
    try {
      await work();
    } catch (error) {
      notice(asProblem(error).message, "bad");
    }
  }

  /** What is on frames, as the institution has it or soon will. */
  get #onFrames() {
    return this.book.all.filter((one) => one.place.on === "frame");
  }

  /** @param {string} form */
  #document(form) {
    return annotationDocument(this.#study.node, this.#study.uid, form, this.#onFrames);
  }

  async #store() {
    const blob = await this.#document("structured-reports");
    const file = new File([blob], "measurements-sr.dcm", { type: "application/dicom" });
    uploads.start([{ file, path: file.name }], this.#study.site, this.#study.patient);
    notice(t("annotations.stored"));
  }

  async #readAll() {
    const { items } = await annotationObjects(this.#study.node, this.#study.uid);
    for (const one of items) await this.#take(await readStored(this.#study.node, this.#study.uid, one.instance_uid));
  }

  /** Keep what a document holds and say what became of it. @param {{annotations: any[], refused: {index: number, reason: string}[]}} reading */
  async #take(reading) {
    const done = await takeAnnotations(this.#study.institution, this.#study.uid, reading.annotations);
    await this.book.refresh();
    const refused = [...reading.refused, ...done.refused];
    const sentence = t("annotations.imported", { added: done.added.length, known: done.known, refused: refused.length });
    if (!refused.length) return notice(sentence);
    const reasons = [...new Map(refused.map((one) => [one.reason, `${one.index + 1}. ${one.reason}`])).values()].slice(0, 30);
    openDialog(t("annotations.imported.title"), [h("p", {}, sentence), h("ul", {}, reasons.map((reason) => h("li", {}, reason)))]);
    return undefined;
  }

  #drawState() {
    const { state } = this.book;
    this.#state.dataset.state = state;
    this.#state.title = this.book.problem;
    fill(this.#state, icon(state === "saved" ? "check" : state === "saving" ? "upload" : "warning"), t(`annotations.state.${state}`));
    this.#able("undo", this.book.canUndo);
    this.#able("redo", this.book.canRedo);
  }

  /** @param {string} id @param {boolean} yes */
  #able(id, yes) {
    const button = /** @type {HTMLButtonElement | null} */ (this.#head.querySelector(`[data-tool=${id}]`));
    if (button) button.disabled = !yes;
  }

  #draw() {
    const all = this.book.all;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.closest("[data-annotation]")?.getAttribute("data-annotation");
    const action = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.action;
    this.#head.querySelector("[data-tool=hide-all]")?.setAttribute("aria-pressed", String(this.book.hidden));
    this.#drawAuthors(all);
    fill(this.#list, all.length ? all.map((one) => this.#one(one)) : h("li", {}, empty(t("annotations.none"))));
    this.#mark();
    this.#drawState();
    if (focused) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-annotation="${focused}"] [data-action="${action ?? "jump"}"]`))?.focus({ preventScroll: true });
  }

  /** Whose are shown: a box for each author, when there are several. @param {Annotation[]} all */
  #drawAuthors(all) {
    const authors = new Map(all.map((one) => [one.author.id, one.author.name]));
    // What makes measurements doubtful (uneven slices, tilt) stands above them.
    const doubts = /** @type {string[]} */ (this.workspace?.active.study === this.study ? this.workspace?.active.series?.warnings ?? [] : []);
    fill(this.#whose, doubts.slice(0, 3).map((sentence) => h("p", { class: "annotations-doubt" }, icon("warning"), sentence)), authors.size > 1 && h("fieldset", { class: "annotations-whose", "aria-label": t("annotations.whose") },
      [...authors].map(([id, name]) => h("label", {}, h("input", { type: "checkbox", checked: !this.book.hiddenAuthors.has(id), onchange: () => this.book.toggleIn(this.book.hiddenAuthors, id) }), name))));
  }

  #mark() {
    const chosen = /** @type {any} */ (this.workspace?.active.view)?.drawings?.chosen ?? "";
    for (const item of this.#list.querySelectorAll(".annotation")) item.classList.toggle("chosen", !!chosen && item.getAttribute("data-annotation") === chosen);
  }

  /** @param {Annotation} one */
  #one(one) {
    const mine = this.book.mine(one);
    const hidden = !this.book.shows(one);
    const tools = h("div", { class: "annotation-tools" },
      this.#button(hidden ? "hidden" : "eye", hidden ? "annotations.show" : "annotations.hide", () => this.book.toggleIn(this.book.hiddenIds, one.id), { "aria-pressed": String(this.book.hiddenIds.has(one.id)), "data-action": "hide" }),
      mine && this.#button("edit", "annotations.rename", () => askWords(one.kind, one, { needed: KINDS[one.kind]?.words && one.kind !== "arrow", named: true }, (words) => this.book.change(one.id, words)), { "data-action": "rename" }),
      mine && h("input", { type: "color", value: one.color || "#ffd24a", "aria-label": t("annotations.color"), title: t("annotations.color"), "data-action": "color", onchange: (/** @type {Event} */ event) => this.book.change(one.id, { color: /** @type {HTMLInputElement} */ (event.target).value }) }),
      mine && this.#button(one.visibility === "author" ? "lock" : "patients", one.visibility === "author" ? "annotations.mine" : "annotations.everyone", () => this.book.change(one.id, { visibility: one.visibility === "author" ? "everyone" : "author" }), { "aria-pressed": String(one.visibility === "author"), "data-action": "visibility" }),
      mine && this.#button("bin", "annotations.delete", () => this.book.remove(one.id), { "data-action": "delete" }));
    return h("li", { class: hidden ? "annotation hidden-one" : "annotation", "data-annotation": one.id, "data-kind": one.kind },
      h("button", { type: "button", class: "plain jump", title: t("annotations.jump"), "data-action": "jump", onclick: () => this.#jump(one) },
        icon(KINDS[one.kind]?.icon ?? "file"), h("strong", {}, this.#title(one)), h("small", {}, [this.#where(one), t("annotations.by", { name: one.author.name, time: moment(one.created_at) })].filter(Boolean).join(" · "))),
      tools);
  }

  /** The place of an annotation's frame. @param {Annotation} one @returns {{series: import("../model/types.js").SeriesContents, index: number} | null} */
  #found(one) {
    const { place } = one;
    const series = this.#study.series.find((series) => series.series_uid === place.series_uid);
    if (!series || place.on !== "frame") return null;
    const index = series.frames.findIndex((frame) => frame.instance_uid === place.instance_uid && frame.frame === place.frame);
    return index < 0 ? null : { series, index };
  }

  /** @param {Annotation} one */
  #title(one) {
    if (one.name || one.text) return one.name || one.text;
    const found = this.#found(one);
    const points = one.points.map(([x, y]) => ({ x, y }));
    const [first] = found && points.length ? labelLines({ kind: one.kind, points, name: "", text: "" }, spacingAt(found.series, found.index, points)) : [];
    return [t(`kind.${one.kind}`), one.kind === "probe" ? "" : first].filter(Boolean).join(" · ");
  }

  /** @param {Annotation} one */
  #where(one) {
    const found = this.#found(one);
    if (!found) return "";
    return [found.series.number !== null ? t("series.number", { number: String(found.series.number) }) : "", t("annotations.slice", { index: found.index + 1 })].filter(Boolean).join(", ");
  }

  /** Show its frame, and choose it. @param {Annotation} one */
  #jump(one) {
    const found = this.#found(one);
    const { workspace } = this;
    if (!found || !workspace) return;
    const shows = (/** @type {import("./cell.js").Cell} */ cell) => cell.isConnected && cell.study === this.study && cell.series?.series_uid === found.series.series_uid && cell.view?.kind === "stack";
    const cell = [workspace.active, ...workspace.cells].find(shows);
    if (cell) workspace.activate(cell);
    else {
      if (workspace.active.mode !== "2d") this.page?.setMode("2d");
      workspace.dispatchEvent(new CustomEvent("placed", { detail: { cell: workspace.active, key: seriesKey(this.#study.uid, found.series.series_uid) } }));
    }
    const view = /** @type {import("./stack-view.js").StackView} */ (workspace.active.view);
    if (view?.kind !== "stack") return;
    view.go(found.index);
    view.drawings?.choose(one.id);
  }
}
customElements.define("sivr-annotation-list", AnnotationList);
