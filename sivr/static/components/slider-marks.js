// @ts-check
/** Stars along the slider where key images are. */
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { t } from "../model/language.js";
import { keyPlaces } from "../tools/key-images.js";

export class SliderMarks extends View {
  /** @type {import("./stack-view.js").StackView | null} */
  view = null;

  start() {
    this.className = "slider-marks";
    const book = this.view?.book;
    if (!book) return;
    this.listen(book, "change", () => this.#draw());
    this.#draw();
  }

  #draw() {
    const { view } = this;
    const series = view?.series;
    if (!view?.book || !series) return;
    const most = Math.max(series.frames.length - 1, 1);
    fill(this, keyPlaces(view.book, series).map((place) => {
      const label = t("key.of", { index: place + 1 });
      const star = h("button", { type: "button", class: "slider-star", title: label, "aria-label": label, "data-place": place, onclick: () => view.go(place) }, icon("star"));
      star.style.left = `${(place / most) * 100}%`;
      return star;
    }));
  }
}
customElements.define("sivr-slider-marks", SliderMarks);
