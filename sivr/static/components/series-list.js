// @ts-check
/**
 * The series of the open studies with thumbnails, and the patient's other studies to open beside them. Fires "choose"
 * (detail: a key) when a series is chosen, "compare" (detail: index in `others`) when another study is to be opened.
 */
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { picture } from "../net/pictures.js";
import { date, t } from "../model/language.js";
import { SERIES_DRAG } from "./workspace.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../tools/open-study.js").OpenStudy} OpenStudy */

const THUMBNAIL_PX = 144;

/** Names a series on this page. @param {string} study @param {string} series */
export const seriesKey = (study, series) => `${study}/${series}`;

export class SeriesList extends View {
  /** @type {OpenStudy[]} */
  studies = [];
  /** Studies of the patient that are not open; null while nobody has looked. @type {import("../model/types.js").Study[] | null} */
  others = null;
  /** Key of the series in the active cell. */
  chosen = "";
  /** Keys of the series in any cell. @type {Set<string>} */
  shown = new Set();
  #watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      this.#watcher.unobserve(entry.target);
      this.#load(/** @type {HTMLElement} */ (entry.target));
    }
  }, { rootMargin: "200px" });

  start() {
    this.className = "series-list";
    this.draw();
  }

  stop() {
    this.#watcher.disconnect();
  }

  draw() {
    const had = new Map([...this.querySelectorAll("button.series")].map((one) => [/** @type {HTMLElement} */ (one).dataset.state, one]));
    fill(this, this.studies.map((study) => h("div", { class: "series-of", role: "listbox", "aria-label": `${t("series")}: ${study.title}` },
      this.studies.length > 1 && h("h3", {}, study.title),
      study.series.map((series) => {
        const button = /** @type {HTMLElement} */ (had.get(`${seriesKey(study.uid, series.series_uid)} ${series.frame_count}`) ?? this.#one(study, series));
        const key = button.dataset.key ?? "";
        button.setAttribute("aria-selected", String(key === this.chosen));
        button.classList.toggle("shown", this.shown.has(key) && key !== this.chosen);
        return button;
      }))), this.#otherStudies());
  }

  /** @param {OpenStudy} study @param {SeriesContents} series */
  #one(study, series) {
    const key = seriesKey(study.uid, series.series_uid);
    const place = h("span", { class: "thumbnail" }, series.renderable ? h("canvas", { width: 1, height: 1 }) : h("span", { class: "hint" }, series.modality || "?"));
    const button = h("button", {
      type: "button", role: "option", class: "series", "data-series": series.series_uid, "data-key": key, "data-state": `${key} ${series.frame_count}`,
      title: series.renderable ? series.description : series.why_not, draggable: "true",
      onclick: () => this.dispatchEvent(new CustomEvent("choose", { detail: key })),
      ondragstart: (/** @type {DragEvent} */ event) => event.dataTransfer?.setData(SERIES_DRAG, key),
    }, place,
    h("span", { class: "series-text" },
      h("strong", {}, [series.modality, series.number].filter((one) => one !== null && one !== "").join(" ")),
      h("span", { class: "series-description" }, series.description || t("series.untitled")),
      h("span", { class: "hint" }, series.renderable ? t("image.count", { count: series.frame_count }) : t("series.unrenderable"))));
    if (series.renderable) this.#watcher.observe(button);
    return button;
  }

  #otherStudies() {
    if (!this.others?.length) return null;
    return h("div", { class: "other-studies" }, h("h3", {}, t("study.others")),
      this.others.map((study, index) => h("button", {
        type: "button", class: "plain other-study", "data-study": study.study_uid, title: t("study.compare"),
        onclick: () => this.dispatchEvent(new CustomEvent("compare", { detail: index })),
      }, icon("add"), h("span", {}, h("strong", {}, study.modalities.join(" ")), ` ${study.description || t("study.untitled")}`, h("span", { class: "hint" }, date(study.study_date) || t("study.undated"))))));
  }

  /** @param {HTMLElement} button */
  async #load(button) {
    const canvas = button.querySelector("canvas");
    const [uid, series] = (button.dataset.key ?? "").split("/");
    const study = this.studies.find((one) => one.uid === uid);
    if (!canvas || !study) return;
    try {
      const path = `/studies/${uid}/series/${series}/thumbnail?viewport=${THUMBNAIL_PX},${THUMBNAIL_PX}&accept=image/jpeg`;
      const { bitmap } = await picture(study.node, path, { priority: "low" });
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    } catch {
      button.querySelector(".thumbnail")?.classList.add("broken");
    }
  }
}
customElements.define("sivr-series-list", SeriesList);
