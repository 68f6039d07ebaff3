// @ts-check
/** Parts of the viewer's toolbars. */
import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { number, t } from "../model/language.js";
import { presets, same } from "../model/windows.js";

/** @typedef {import("../model/types.js").Window} Window */

/**
 * @param {string} sign @param {string} label @param {() => void} work
 * @param {{pressed?: boolean, key?: string, id?: string}} [how]
 */
export function tool(sign, label, work, how = {}) {
  return h("button", {
    type: "button", class: "tool", "aria-pressed": how.pressed === undefined ? undefined : String(how.pressed),
    title: how.key ? `${label} (${how.key})` : label, "data-tool": how.id, onclick: work,
  }, icon(sign), h("span", {}, label));
}

/**
 * A menu under a button.
 * @param {string} sign @param {string} label @param {Node[]} items @param {string} [name]
 */
export function menu(sign, label, items, name) {
  return h("details", { class: "menu tool-menu", "data-menu": name },
    h("summary", { class: "tool", title: label }, icon(sign), h("span", {}, label)),
    h("div", { class: "sheet" }, items));
}

/** @param {string} label @param {boolean} chosen @param {() => void} work @param {string} [hint] @param {string} [value] */
export const choice = (label, chosen, work, hint = "", value = "") =>
  h("button", { type: "button", class: "plain choice", role: "menuitemradio", "aria-checked": String(chosen), onclick: work, "data-value": value },
    h("span", {}, label), hint && h("kbd", {}, hint));

/** @param {string} current @param {(format: import("../model/formats.js").Format) => void} choose */
export function formatMenu(current, choose) {
  const formats = /** @type {[import("../model/formats.js").Format, string][]} */ ([["auto", "format.auto"], ["png", "format.png"], ["jpeg", "format.jpeg"], ["webp", "format.webp"]]);
  return menu("file", current === "auto" ? t("format.auto.short") : current.toUpperCase(), formats.map(([value, label]) => choice(t(label), value === current, () => choose(value), "", value)), "format");
}

/**
 * Windows by name, and a window typed in numbers.
 * @param {import("../model/types.js").SeriesContents} series @param {Window | null} now @param {(window: Window | null) => void} choose
 */
export function windowMenu(series, now, choose) {
  const center = h("input", { type: "number", step: "any", name: "center", value: now ? String(now.center) : "", "aria-label": t("window.center") });
  const width = h("input", { type: "number", step: "any", name: "width", value: now ? String(now.width) : "", "aria-label": t("window.width") });
  const typed = h("form", { class: "typed-window", novalidate: true, onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    const wanted = { center: Number(center.value), width: Number(width.value), function: now?.function ?? "linear" };
    if (center.value && Number.isFinite(wanted.center) && wanted.width > 0) {
      choose({ ...wanted, width: wanted.function === "linear" ? Math.max(1, wanted.width) : wanted.width });
      typed.closest("details")?.removeAttribute("open");
    } else width.focus();
  } },
  h("label", {}, t("window.center"), center), h("label", {}, t("window.width"), width),
  h("button", { type: "submit", class: "quiet small" }, t("apply")));
  const offered = presets(series);
  // Two names of the same window are one choice.
  const chosen = offered.find((preset) => same(now, preset.window));
  const items = offered.map((preset) => {
    const named = preset.label ? t(preset.label) : preset.fallback;
    const label = named === preset.label ? preset.fallback : named;
    return choice(label, preset === chosen, () => choose(preset.key === "0" ? null : preset.window),
      `${preset.key ? `${preset.key} · ` : ""}${number(preset.window.center, 1)}/${number(preset.window.width, 1)}`);
  });
  return menu("window", t("window"), [...items, typed], "window");
}
