// @ts-check
/** The series of a study with thumbnails. Fires "choose" with the series' UID. */
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { picture } from "../net/pictures.js";
import { t } from "../model/language.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */

const THUMBNAIL_PX = 144;

export class SeriesList extends View {
  /** @type {import("../net/node.js").RenderNode | null} */
  node = null;
  study = "";
  /** @type {SeriesContents[]} */
  series = [];
  chosen = "";
  #watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      this.#watcher.unobserve(entry.target);
      this.#load(/** @type {HTMLElement} */ (entry.target));
    }
  }, { rootMargin: "200px" });

  start() {
    this.className = "series-list";
    this.setAttribute("role", "listbox");
    this.setAttribute("aria-label", t("series"));
    this.draw();
  }

  stop() {
    this.#watcher.disconnect();
  }

  draw() {
    const had = new Map([...this.querySelectorAll("button")].map((one) => [`${one.dataset.series} ${one.dataset.count}`, one]));
    fill(this, this.series.map((series) => {
      const button = had.get(`${series.series_uid} ${series.frame_count}`) ?? this.#one(series);
      const here = series.series_uid === this.chosen;
      button.setAttribute("aria-selected", String(here));
      return button;
    }));
  }

  /** @param {SeriesContents} series */
  #one(series) {
    const place = h("span", { class: "thumbnail" }, series.renderable ? h("canvas", { width: 1, height: 1 }) : h("span", { class: "hint" }, series.modality || "?"));
    const button = h("button", {
      type: "button", role: "option", class: "series", "data-series": series.series_uid, "data-count": series.frame_count,
      title: series.renderable ? series.description : series.why_not,
      onclick: () => this.dispatchEvent(new CustomEvent("choose", { detail: series.series_uid })),
    }, place,
    h("span", { class: "series-text" },
      h("strong", {}, [series.modality, series.number].filter((one) => one !== null && one !== "").join(" ")),
      h("span", { class: "series-description" }, series.description || t("series.untitled")),
      h("span", { class: "hint" }, series.renderable ? t("image.count", { count: series.frame_count }) : t("series.unrenderable"))));
    if (series.renderable) this.#watcher.observe(button);
    return button;
  }

  /** @param {HTMLElement} button */
  async #load(button) {
    const canvas = button.querySelector("canvas");
    if (!canvas || !this.node) return;
    try {
      const path = `/studies/${this.study}/series/${button.dataset.series}/thumbnail?viewport=${THUMBNAIL_PX},${THUMBNAIL_PX}&accept=image/jpeg`;
      const { bitmap } = await picture(this.node, path, { priority: "low" });
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    } catch {
      button.querySelector(".thumbnail")?.classList.add("broken");
    }
  }
}
customElements.define("sivr-series-list", SeriesList);
