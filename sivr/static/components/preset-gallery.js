// @ts-check
/** Presets as small pictures of the very volume that is read; made when they come into view, one after the other. */
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { t } from "../model/language.js";
import { VolumeLook } from "../model/volume-look.js";
import { picture } from "../net/pictures.js";

/** @typedef {import("./volume-view.js").VolumeView} VolumeView */
/** @typedef {{id: string, name: string, own?: any, modalities?: string[]}} Item */

const SIDE_PX = 96;

/** Fires "choose" with an item. */
export class PresetGallery extends View {
  /** @type {Item[]} */
  items = [];
  chosen = "";
  /** @type {VolumeView | null} */
  view = null;
  #due = /** @type {{item: Item, canvas: HTMLCanvasElement}[]} */ ([]);
  #busy = false;

  start() {
    this.classList.add("preset-gallery");
    this.setAttribute("role", "radiogroup");
    this.setAttribute("aria-label", t("preset"));
    this.draw();
  }

  draw() {
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        watch.unobserve(entry.target);
        const item = this.items.find((one) => one.id === /** @type {HTMLElement} */ (entry.target).dataset.preset);
        if (item) this.#due.push({ item, canvas: /** @type {HTMLCanvasElement} */ (entry.target.querySelector("canvas")) });
      }
      this.#work();
    });
    this.signal.addEventListener("abort", () => watch.disconnect());
    this.#due = [];
    fill(this, this.items.map((item) => {
      const tile = h("button", {
        type: "button", class: "plain preset-tile", role: "radio", "aria-checked": String(item.id === this.chosen), "data-preset": item.id,
        onclick: () => this.dispatchEvent(new CustomEvent("choose", { detail: item })),
      }, h("canvas", { width: SIDE_PX, height: SIDE_PX, "aria-hidden": "true" }), h("span", {}, item.name));
      watch.observe(tile);
      return tile;
    }));
  }

  /** @param {string} id */
  mark(id) {
    this.chosen = id;
    for (const tile of this.querySelectorAll(".preset-tile")) tile.setAttribute("aria-checked", String(/** @type {HTMLElement} */ (tile).dataset.preset === id));
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#due.shift(); next && this.isConnected; next = this.#due.shift()) {
      try {
        await this.#make(next.item, next.canvas);
      } catch {
        // A tile without a picture still has its name.
        if (!this.isConnected) break;
      }
    }
    this.#busy = false;
  }

  /** @param {Item} item @param {HTMLCanvasElement} canvas */
  async #make(item, canvas) {
    const { view } = this;
    if (!view?.node || !view.series?.volume) return;
    const look = new VolumeLook();
    look.transfer = item.own?.transfer ?? null;
    look.light = item.own?.light ?? null;
    const options = ["orientation=a", `viewport=${SIDE_PX},${SIDE_PX}`, "accept=image/webp", "quality=70", `fov=${(Math.max(...view.series.volume.extent_mm) * 1.08).toFixed(1)}`];
    if (item.own) options.push(...look.appearance("volume_rendered"));
    else options.push(`preset=${encodeURIComponent(item.id)}`);
    const path = `/studies/${view.study}/series/${view.series.series_uid}/rendered3d?${options.join("&")}`;
    const made = await picture(view.node, path, { signal: this.signal, keep: true, priority: "low" });
    canvas.getContext("2d")?.drawImage(made.bitmap, 0, 0, SIDE_PX, SIDE_PX);
    canvas.dataset.made = "yes";
  }
}
customElements.define("sivr-preset-gallery", PresetGallery);
