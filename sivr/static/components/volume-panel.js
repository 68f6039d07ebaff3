// @ts-check
/** How the volume looks and what is cut away from it: presets, the transfer function over its histogram, light, cuts. */
import { afterPause, fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { number, t } from "../model/language.js";
import { ownWindows } from "../model/windows.js";
import { asProblem } from "../net/http.js";
import { keep, kept } from "../net/settings.js";
import { histogramOf } from "../net/volumes.js";
import { notice } from "./dialog.js";
import "./preset-gallery.js";
import "./transfer-editor.js";
import { boxOf } from "./volume-overlay.js";

/** @typedef {import("./volume-view.js").VolumeView} VolumeView */
/** @typedef {{id: string, name: string, modality: string, transfer: import("../model/volume-look.js").Transfer, light: import("../model/volume-look.js").Light | null}} Own */
/** @typedef {{items: Own[]}} Owns */

const SETTING = "transfer-functions";
const MOST_OWN = 40;
const AGAIN_MS = 3000;

/** @type {Owns} */
const NONE = { items: [] };

export class VolumePanel extends View {
  /** @type {import("../pages/viewer.js").ViewerPage | null} */
  page = null;
  /** @type {VolumeView | null} */
  #view = null;
  /** @type {Owns} */
  #own = NONE;
  #ownId = "";
  #timer = 0;
  #editor = /** @type {import("./transfer-editor.js").TransferEditor} */ (document.createElement("sivr-transfer-editor"));
  #gallery = /** @type {import("./preset-gallery.js").PresetGallery} */ (document.createElement("sivr-preset-gallery"));
  #mine = h("div", { class: "own-presets" });
  #light = h("div", { class: "sliders" });
  #cuts = h("div", { class: "sliders" });
  #draft = afterPause(40, () => this.#view?.moved());

  start() {
    this.classList.add("volume-panel");
    const workspace = /** @type {any} */ (this.page).workspace;
    for (const event of ["active", "layout", "change"]) this.listen(workspace, event, () => this.#follow());
    this.listen(this.#editor, "change", () => this.#edited());
    this.listen(this.#gallery, "choose", (event) => this.#choose(event.detail));
    this.#follow();
    kept(SETTING, NONE).then((found) => {
      this.#own = found?.items ? found : NONE;
      if (this.isConnected && this.#view) this.#fill();
    }, (error) => notice(asProblem(error).message, "bad"));
  }

  stop() {
    clearTimeout(this.#timer);
    this.#draft.cancel();
  }

  /** The active cell may show another volume now, or look otherwise. */
  #follow() {
    const view = /** @type {any} */ (this.page)?.workspace.active.view;
    const mine = view?.kind === "volume" ? /** @type {VolumeView} */ (view) : null;
    if (!mine) {
      this.#view = null;
      fill(this, h("p", { class: "hint" }, t("volume.panel.none")));
      return;
    }
    if (mine !== this.#view) {
      this.#view = mine;
      this.#fill();
      this.#count();
    } else if (!this.contains(document.activeElement)) this.#show();
  }

  #fill() {
    const view = /** @type {VolumeView} */ (this.#view);
    const fitting = view.presets.filter((one) => one.modalities.includes(view.series?.modality));
    this.#gallery.view = view;
    this.#gallery.items = [
      ...this.#own.items.filter((one) => one.modality === view.series?.modality).map((one) => ({ id: one.id, name: one.name, own: one })),
      ...(fitting.length ? fitting : view.presets).map((one) => ({ id: one.name, name: t(`preset.${one.name}`) })),
    ];
    fill(this,
      h("h3", {}, t("volume.presets")), this.#gallery,
      h("h3", {}, t("volume.transfer")), this.#editor, this.#mine,
      h("h3", {}, t("volume.light")), this.#light,
      h("h3", {}, t("volume.cuts")), this.#cuts);
    if (this.#gallery.isConnected && this.#gallery.childElementCount) this.#gallery.draw();
    this.#show();
  }

  #show() {
    const view = /** @type {VolumeView} */ (this.#view);
    this.#gallery.mark(view.look.transfer ? this.#ownId : view.preset);
    this.#drawEditor();
    this.#drawMine();
    this.#drawLight();
    this.#drawCuts();
  }

  async #count() {
    const view = /** @type {VolumeView} */ (this.#view);
    clearTimeout(this.#timer);
    if (!view.node || !view.series) return;
    try {
      const found = await histogramOf(view.node, view.study, view.series.series_uid, this.signal);
      if (view !== this.#view || !this.isConnected) return;
      this.#editor.histogram = found;
      this.dataset.counted = found.complete ? "all" : "some";
      this.#editor.draw();
      if (!found.complete && found.voxels < 1 << 23) this.#timer = window.setTimeout(() => this.#count(), AGAIN_MS);
    } catch (error) {
      const problem = asProblem(error);
      if (!problem.canceled) console.info("no histogram:", problem.message);
    }
  }

  #drawEditor() {
    const view = /** @type {VolumeView} */ (this.#view);
    const facts = view.presetFacts;
    const own = view.series ? ownWindows(view.series)[0] : null;
    this.#editor.hidden = view.method !== "volume_rendered" && !facts;
    const given = view.look.transfer ?? (facts ? { relative: facts.relative, points: facts.points } : null);
    if (!given) return;
    // What is edited is a copy: a preset stays as it is.
    this.#editor.transfer = { relative: given.relative, points: given.points.map((/** @type {any} */ point) => [...point]) };
    this.#editor.ends = own ? [own.center - own.width / 2, own.center + own.width / 2] : [0, 1];
    if (this.#editor.isConnected) this.#editor.draw();
  }

  #edited() {
    const view = /** @type {VolumeView} */ (this.#view);
    if (!view.look.transfer && view.presetFacts) view.look.light ??= view.presetFacts.light;
    view.method = "volume_rendered";
    view.window = null;
    view.look.transfer = { relative: this.#editor.transfer.relative, points: this.#editor.transfer.points.map((point) => [...point]) };
    this.#gallery.mark(this.#ownId);
    this.#drawMine();
    this.#draft();
  }

  /** @param {import("./preset-gallery.js").Item} item */
  #choose(item) {
    const view = /** @type {VolumeView} */ (this.#view);
    const page = /** @type {any} */ (this.page);
    if (item.own) {
      this.#ownId = item.id;
      view.method = "volume_rendered";
      view.window = null;
      view.look.transfer = { relative: item.own.transfer.relative, points: item.own.transfer.points.map((/** @type {any} */ point) => [...point]) };
      view.look.light = item.own.light;
      view.moved();
    } else {
      this.#ownId = "";
      page.habits.preset = item.id;
      view.setPreset(item.id);
      page.habits.method = view.method;
    }
    page.refresh();
    this.#show();
  }

  #drawMine() {
    const view = /** @type {VolumeView} */ (this.#view);
    const mine = this.#own.items.find((one) => one.id === this.#ownId && view.look.transfer);
    const name = h("input", { type: "text", maxlength: "60", value: mine?.name ?? "", placeholder: t("volume.own.name"), "aria-label": t("volume.own.name"), name: "own-name" });
    fill(this.#mine, h("form", { class: "own-form", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#save(name.value.trim() || t("volume.own"));
    } }, name,
    h("button", { type: "submit", class: "quiet small", "data-tool": "own-save" }, t(mine ? "save" : "volume.own.keep")),
    mine && h("button", { type: "button", class: "quiet icon-only", "aria-label": t("volume.own.remove"), title: t("volume.own.remove"), "data-tool": "own-remove", onclick: () => this.#remove(mine.id) }, icon("close"))));
  }

  /** Under the name that is written: over the one that is chosen, else a new one. @param {string} name */
  async #save(name) {
    const view = /** @type {VolumeView} */ (this.#view);
    const { relative, points } = this.#editor.transfer;
    const known = this.#own.items.some((one) => one.id === this.#ownId) && view.look.transfer;
    const id = known ? this.#ownId : `own-${Date.now().toString(36)}`;
    const light = view.look.light ?? view.presetFacts?.light ?? null;
    /** @type {Own} */
    const saved = { id, name, modality: view.series?.modality ?? "", transfer: { relative, points }, light };
    await this.#keep((items) => [...items.filter((one) => one.id !== id), saved].slice(-MOST_OWN));
    this.#ownId = id;
    view.look.transfer = { relative, points: points.map((point) => [...point]) };
    notice(t("volume.own.kept", { name }));
    this.#fill();
  }

  /** @param {string} id */
  async #remove(id) {
    await this.#keep((items) => items.filter((one) => one.id !== id));
    this.#ownId = "";
    this.#fill();
  }

  /** @param {(items: Own[]) => Own[]} change */
  async #keep(change) {
    try {
      this.#own = await keep(SETTING, NONE, (value) => ({ items: change(value?.items ?? []) }));
    } catch (error) {
      notice(asProblem(error).message, "bad");
    }
  }

  /**
   * @param {string} id @param {string} label @param {number} value @param {{min: number, max: number, step: number, digits?: number, unit?: string, show?: (value: number) => string}} how
   * @param {(value: number) => void} change
   */
  #slider(id, label, value, how, change) {
    const text = how.show ?? ((/** @type {number} */ one) => number(one, how.digits ?? 2) + (how.unit ?? ""));
    const shown = h("output", {}, text(value));
    const input = h("input", {
      type: "range", min: String(how.min), max: String(how.max), step: String(how.step), value: String(value), name: id, "aria-label": label,
      oninput: () => {
        change(Number(input.value));
        shown.textContent = text(Number(input.value));
        this.#draft();
      },
    });
    return h("label", { class: "slider" }, h("span", {}, label), input, shown);
  }

  #drawLight() {
    const view = /** @type {VolumeView} */ (this.#view);
    const { look } = view;
    const light = look.light ?? view.presetFacts?.light ?? [0.2, 0.8, 0.2];
    const unit = { min: 0, max: 1, step: 0.01 };
    const lit = (/** @type {number} */ at) => (/** @type {number} */ value) => {
      look.light = /** @type {any} */ ((look.light ?? light).map((/** @type {number} */ one, /** @type {number} */ n) => (n === at ? value : one)));
    };
    const surface = view.method === "surface";
    const range = this.#editor.histogram ?? { low: view.series?.value_range?.[0] ?? -1000, high: view.series?.value_range?.[1] ?? 3000 };
    const flat = h("input", { type: "checkbox", checked: light[0] === 1 && light[1] === 0, name: "flat", onchange: () => {
      look.light = flat.checked ? [1, 0, 0] : null;
      view.moved();
      this.#drawLight();
    } });
    fill(this.#light,
      surface && this.#slider("iso", t("volume.iso"), look.iso, { min: Math.floor(range.low), max: Math.ceil(range.high), step: Math.max((range.high - range.low) / 1000, 0.01), digits: 0 }, (value) => (look.iso = value)),
      surface && this.#color(),
      !surface && this.#slider("opacity", t("volume.density"), Math.log10(look.opacity), { min: -1, max: 1, step: 0.02, show: (value) => `× ${number(10 ** value, 2)}` }, (value) => (look.opacity = 10 ** value)),
      this.#slider("depth", t("volume.depth"), look.depth, unit, (value) => (look.depth = value)),
      h("label", { class: "check" }, flat, t("volume.flat")),
      this.#slider("ambient", t("volume.ambient"), light[0], unit, lit(0)), this.#slider("diffuse", t("volume.diffuse"), light[1], unit, lit(1)), this.#slider("specular", t("volume.specular"), light[2], unit, lit(2)),
      this.#slider("speed", t("volume.speed"), view.speed, { min: 5, max: 180, step: 5, digits: 0, unit: "°/s" }, (value) => (view.speed = value)));
  }

  #color() {
    const { look } = /** @type {VolumeView} */ (this.#view);
    const input = h("input", { type: "color", value: `#${look.isoColor}`, oninput: () => {
      look.isoColor = input.value.slice(1);
      this.#draft();
    } });
    return h("label", { class: "slider" }, h("span", {}, t("volume.color")), input);
  }

  #drawCuts() {
    const view = /** @type {VolumeView} */ (this.#view);
    const { look } = view;
    const reach = (view.camera?.reach_mm ?? 100) / 2;
    const box = boxOf(view);
    const counts = [...(view.series?.volume?.shape ?? [1, 1, 1])].reverse();
    const button = (/** @type {string} */ id, /** @type {string} */ label, /** @type {() => void} */ work) =>
      h("button", { type: "button", class: "quiet small", "data-tool": id, onclick: () => {
        work();
        this.#drawCuts();
      } }, t(label));
    const outside = h("input", { type: "checkbox", checked: view.outside, name: "outside", onchange: () => (view.outside = outside.checked) });
    const faces = ["i", "j", "k"].flatMap((name, axis) => /** @type {("low" | "high")[]} */ (["low", "high"]).map((end) =>
      this.#slider(`crop-${name}-${end}`, t(`volume.crop.${name}.${end}`), box[end][axis], { min: -0.5, max: counts[axis] - 0.5, step: 0.5, digits: 0 }, (value) => view.cropTo(axis, end, value))));
    fill(this.#cuts,
      h("div", { class: "row" }, button("clip-here", look.plane ? "volume.clip.again" : "volume.clip", () => view.clipHere()),
        look.plane && button("clip-off", "volume.clip.off", () => {
          look.plane = null;
          view.moved();
        })),
      look.plane && this.#slider("clip", t("volume.clip.depth"), view.clip_mm, { min: -reach, max: reach, step: 0.5, digits: 0, unit: " mm" }, (value) => view.clipAt(value)),
      h("label", { class: "check" }, outside, t("volume.lasso.outside")),
      look.lassos.length > 0 && h("div", { class: "row" }, button("lasso-undo", "volume.lasso.undo", () => view.undoLasso())),
      h("details", {}, h("summary", {}, t("volume.crop")), faces),
      look.isCut && h("div", { class: "row" }, button("uncut", "volume.uncut", () => view.uncut())));
  }
}
customElements.define("sivr-volume-panel", VolumePanel);
