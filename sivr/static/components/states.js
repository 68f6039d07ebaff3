// @ts-check
/** The three things a list can be while it has nothing to show: loading, empty, in trouble. */
import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { t } from "../model/language.js";

/** @param {string} [text] */
export const loading = (text = t("loading")) =>
  h("div", { class: "state", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), h("span", {}, text));

/** @param {string} text @param {...Node} more */
export const empty = (text, ...more) => h("div", { class: "state empty" }, h("span", {}, text), ...more);

/** @param {string} text @param {() => void} [again] */
export const trouble = (text, again) =>
  h("div", { class: "state bad", role: "alert" }, icon("warning"), h("span", {}, text),
    again && h("button", { type: "button", class: "quiet", onclick: again }, icon("retry"), t("retry")));
