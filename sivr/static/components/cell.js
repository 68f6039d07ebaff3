// @ts-check
/** One field of the workspace: a series of a study, read as a stack, in planes or as a volume. */
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { t } from "../model/language.js";
import "./planes.js";
import "./stack-view.js";
import "./volume-view.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../tools/open-study.js").OpenStudy} OpenStudy */
/** @typedef {import("./stack-view.js").StackView | import("./planes.js").Planes | import("./volume-view.js").VolumeView} ReadingView */
/** @typedef {"2d" | "mpr" | "3d"} Mode */

/** @type {Record<Mode, string>} */
const VIEWS = { "2d": "sivr-stack-view", mpr: "sivr-planes", "3d": "sivr-volume-view" };

export class Cell extends View {
  /** @type {OpenStudy | null} */
  study = null;
  /** @type {SeriesContents | null} */
  series = null;
  mode = /** @type {Mode} */ ("2d");
  /** @type {ReadingView | null} */
  view = null;

  start() {
    this.classList.add("cell");
    if (!this.firstChild) this.say(t("cell.empty"));
  }

  /**
   * Show a series. What cannot be shown so is told, or shown as a stack where it has no volume.
   * @param {OpenStudy} study @param {SeriesContents} series @param {Mode} mode @param {Record<string, any>} [settings] of the view
   */
  show(study, series, mode, settings = {}) {
    this.study = study;
    this.series = series;
    this.mode = series.volume ? mode : "2d";
    if (!series.renderable) {
      this.say(series.why_not || t("series.unrenderable"));
      return;
    }
    const view = /** @type {any} */ (document.createElement(VIEWS[this.mode]));
    Object.assign(view, { node: study.node, study: study.uid, series, texts: study.texts, book: study.book, ...settings });
    this.view = view;
    for (const event of ["change", "arranged", "point"]) {
      view.addEventListener(event, () => this.dispatchEvent(new CustomEvent("moved", { bubbles: true, detail: event })));
    }
    fill(this, view);
  }

  /** @param {string} sentence */
  say(sentence) {
    this.view = null;
    fill(this, h("div", { class: "pane" }, h("div", { class: "pane-message" }, h("p", {}, sentence))));
  }

  empty() {
    this.study = null;
    this.series = null;
    this.say(t("cell.empty"));
  }
}
customElements.define("sivr-cell", Cell);
