// @ts-check
/** The menu of a picture's looks: highlighted values, colors, interpolation, what the file wants drawn over it. */
import { h } from "../lib/dom.js";
import { t } from "../model/language.js";
import { INTERPOLATIONS, PALETTES, firstBand } from "../model/look.js";
import { choice, menu } from "./toolbar.js";

/** @typedef {import("./stack-view.js").StackView} StackView */
/** @typedef {import("../model/look.js").Band} Band */
/** @typedef {StackView | import("./planes.js").Planes} LookedAt */


/** @param {string} label @param {boolean} on @param {(on: boolean) => void} change @param {string} hint @param {string} id */
const toggle = (label, on, change, hint, id) =>
  h("label", { class: "look-toggle" }, h("input", { type: "checkbox", checked: on, "data-look": id, onchange: (/** @type {Event} */ event) => change(/** @type {HTMLInputElement} */ (event.target).checked) }),
    h("span", {}, label), h("kbd", {}, hint));

/** Two sliders and two numbers that are one pair of values. @param {LookedAt} view */
function bandControls(view) {
  const series = /** @type {import("../model/types.js").SeriesContents} */ (view.series);
  const [low, high] = series.value_range ?? [0, 255];
  const step = high - low > 20 ? 1 : (high - low) / 500 || 1;
  let band = view.look.band ?? firstBand(series, view.windowNow);
  const input = (/** @type {string} */ type, /** @type {keyof Band} */ end) => h("input", {
    type, min: low, max: high, step: type === "range" ? step : "any", value: String(band[end]), name: `band-${end}`, "aria-label": `${t("threshold")} ${t(end === "low" ? "threshold.low" : "threshold.high")}`,
    oninput: (/** @type {Event} */ event) => {
      const value = Number(/** @type {HTMLInputElement} */ (event.target).value);
      if (!Number.isFinite(value)) return;
      band = end === "low" ? { low: value, high: Math.max(value, band.high) } : { low: Math.min(value, band.low), high: value };
      write();
      on.checked = true;
      view.setLook({ band });
    },
  });
  const on = h("input", {
    type: "checkbox", checked: !!view.look.band, "data-look": "threshold",
    onchange: () => view.setLook({ band: on.checked ? band : null }),
  });
  const all = /** @type {[keyof Band, HTMLInputElement][]} */ ([["low", input("range", "low")], ["low", input("number", "low")], ["high", input("range", "high")], ["high", input("number", "high")]]);
  const write = () => all.forEach(([end, one]) => {
    if (one !== document.activeElement || one.type === "range") one.value = String(band[end]);
  });
  const line = (/** @type {string} */ label, /** @type {HTMLInputElement} */ slider, /** @type {HTMLInputElement} */ number) => h("div", { class: "band-line" }, h("span", {}, label), slider, number);
  return h("div", { class: "look-band" },
    h("label", { class: "look-toggle" }, on, h("span", {}, series.units ? `${t("threshold")} (${series.units})` : t("threshold")), h("kbd", {}, "G")),
    line(t("threshold.low"), all[0][1], all[1][1]), line(t("threshold.high"), all[2][1], all[3][1]));
}

/** @param {LookedAt} view @param {() => void} refresh */
export function lookMenu(view, refresh) {
  const { look, series } = view;
  const choose = (/** @type {Partial<import("../model/look.js").Look>} */ change) => {
    view.setLook(change);
    refresh();
  };
  const grey = !series?.color;
  // Planes are made between pixels, and have nothing drawn over them by the file.
  const frames = view.kind === "stack";
  return menu("palette", t("look"), [
    grey && bandControls(view),
    grey && h("div", { class: "look-group", role: "group", "aria-label": t("palette") }, h("h4", {}, t("palette"), frames && h("kbd", {}, "C")),
      PALETTES.map((name) => h("button", {
        type: "button", class: "plain choice swatch-choice", role: "menuitemradio", "aria-checked": String(look.palette === name), "data-value": name || "grey", onclick: () => choose({ palette: name }),
      }, h("span", {}, t(`palette.${name || "grey"}`)), h("i", { class: `swatch ${name || "grey"}`, "aria-hidden": "true" })))),
    frames && h("div", { class: "look-group", role: "group", "aria-label": t("interpolation") }, h("h4", {}, t("interpolation"), h("kbd", {}, "Shift+I")),
      INTERPOLATIONS.map((name) => choice(t(`interpolation.${name || "automatic"}`), look.interpolation === name, () => choose({ interpolation: name }), "", name || "automatic"))),
    frames && h("div", { class: "look-group" },
      toggle(t("look.overlay"), look.overlay, (on) => view.setLook({ overlay: on }), "Shift+O", "overlay"),
      toggle(t("look.shutter"), look.shutter, (on) => view.setLook({ shutter: on }), "Shift+U", "shutter")),
  ].filter((one) => one instanceof Node).map((one) => /** @type {Node} */ (one)), "look");
}
