// @ts-check
/** The sheet of keys, made from the tables of actions. */
import { h } from "../lib/dom.js";
import { keyShown } from "../lib/keys.js";
import { t } from "../model/language.js";
import { openDialog } from "./dialog.js";

/** @typedef {import("./action-bar.js").Action<any>} Action */

/** @param {Action} action */
const keys = (action) => action.keysShown ?? (action.keys ?? []).map((key) => keyShown(key, t("key.space"))).join(" ");

/** @param {string} what @param {string} key */
const row = (what, key) => h("div", {}, h("dt", {}, key), h("dd", {}, what));

/** @param {[string, Action[]][]} sections title and actions */
export function openKeyHelp(sections) {
  const mouse = [
    row(t("help.mouse.left.does"), t("help.mouse.left")), row(t("viewer.zoom"), t("help.mouse.right")),
    row(t("tool.pan"), t("help.mouse.middle")), row(t("tool.scroll"), t("help.mouse.wheel")), row(t("help.mouse.double.does"), t("help.mouse.double")),
  ];
  openDialog(t("keys"), [
    h("div", { class: "key-sheet" },
      sections.map(([title, actions]) => {
        const told = new Map(actions.filter((action) => action.keys?.length).map((action) => [keys(action), action]));
        return h("section", {}, h("h3", {}, title), h("dl", { class: "keys" }, [...told].map(([key, action]) => row(t(action.label), key))));
      }),
      h("section", {}, h("h3", {}, t("help.mouse")), h("dl", { class: "keys" }, mouse))),
  ], { wide: true });
}
