// @ts-check
/** Under the slider: which frames are played, how fast, and which way; stars where key images are. */
import { fill, h, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { number, t } from "../model/language.js";
import { FASTEST_FPS, SLOWEST_FPS } from "../tools/cine.js";

/** @typedef {import("./stack-view.js").StackView} StackView */

export class CineBar extends View {
  /** @type {StackView | null} */
  view = null;
  #range = h("output", { class: "cine-range-text" });
  #rate = h("input", { type: "number", class: "cine-rate", name: "fps", min: SLOWEST_FPS, max: FASTEST_FPS, step: "any" });
  #first = h("input", { type: "range", class: "cine-end", name: "first", min: 1, step: 1 });
  #last = h("input", { type: "range", class: "cine-end", name: "last", min: 1, step: 1 });
  #bounce = h("button", { type: "button", class: "plain icon-only", "data-cine": "bounce" }, icon("bounce"));
  #whole = h("button", { type: "button", class: "plain small", "data-cine": "whole" });
  #play = h("button", { type: "button", class: "plain icon-only", "data-cine": "play" });

  start() {
    const view = /** @type {StackView} */ (this.view);
    const count = String(view.series?.frames.length ?? 1);
    this.className = "cine-bar";
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", t("cine"));
    for (const [input, label] of /** @type {[HTMLInputElement, string][]} */ ([[this.#first, t("cine.first")], [this.#last, t("cine.last")]])) {
      input.max = count;
      input.setAttribute("aria-label", label);
      this.listen(input, "input", () => view.setCine((cine) => cine.setRange(Number(this.#first.value) - 1, Number(this.#last.value) - 1)));
    }
    this.#rate.setAttribute("aria-label", t("cine.rate"));
    this.#bounce.title = `${t("cine.bounce")} (Shift+B)`;
    this.#bounce.setAttribute("aria-label", t("cine.bounce"));
    setText(this.#whole, t("cine.whole"));
    this.listen(this.#rate, "change", () => view.setCine((cine) => {
      if (Number(this.#rate.value) > 0) cine.setRate(Number(this.#rate.value));
      else cine.fps = null;
    }));
    this.listen(this.#bounce, "click", () => view.setCine((cine) => (cine.bounce = !cine.bounce)));
    this.listen(this.#whole, "click", () => view.setCine((cine) => cine.setRange(0, Infinity)));
    this.listen(this.#play, "click", () => view.play());
    const step = (/** @type {number} */ factor, /** @type {string} */ sign) => h("button", { type: "button", class: "plain icon-only", "aria-label": t("cine.faster"), onclick: () => view.setCine((cine) => cine.hurry(factor)) }, sign);
    fill(this, this.#play, h("div", { class: "cine-range" }, this.#first, this.#last), this.#range, this.#whole,
      h("span", { class: "cine-speed" }, step(0.8, "−"), this.#rate, h("span", {}, t("cine.fps", { rate: "" }).trim()), step(1.25, "+")), this.#bounce);
    this.listen(view, "change", () => this.draw());
    this.draw();
  }

  draw() {
    const { view } = this;
    if (!view?.cine) return;
    const { cine, playing } = view;
    this.hidden = !cine.open;
    this.#first.value = String(cine.first + 1);
    this.#last.value = String(cine.last + 1);
    if (document.activeElement !== this.#rate) this.#rate.value = String(Math.round(cine.rate * 10) / 10);
    setText(this.#range, t("cine.range", { first: number(cine.first + 1, 0), last: number(cine.last + 1, 0) }));
    this.#whole.hidden = cine.whole;
    this.#bounce.setAttribute("aria-pressed", String(cine.bounce));
    if (this.#play.dataset.playing !== String(playing)) {
      this.#play.dataset.playing = String(playing);
      this.#play.setAttribute("aria-label", t(playing ? "tool.pause" : "tool.play"));
      fill(this.#play, icon(playing ? "pause" : "play"));
    }
  }
}
customElements.define("sivr-cine-bar", CineBar);
