// @ts-check
/** What can be done in every view: windows, formats, layouts, panels, help. */
import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { t } from "../model/language.js";
import { presets } from "../model/windows.js";
import { choice, formatMenu, menu, windowMenu } from "../components/toolbar.js";
import { LAYOUTS } from "../components/workspace.js";

/** @typedef {import("../components/action-bar.js").Action<any>} Action */
/** @typedef {import("../components/action-bar.js").Reading<any>} Reading */

/** @param {Reading} reading @param {import("../model/types.js").Window | null} window */
function setWindow({ view, page }, window) {
  view.setWindow(window);
  page.refresh();
}

/** Windows mean nothing to colors, and to rays they are the transfer function's. @param {Reading} reading */
export const windowed = ({ view, series }) => !series.color && !(view.kind === "volume" && ["volume_rendered", "surface"].includes(view.method));

/** @type {Action} */
export const windowAction = {
  id: "window-menu", label: "window", group: "picture", keys: [..."0123456789"], keysShown: "0–9",
  when: windowed,
  draw: (reading) => windowMenu(reading.series, reading.view.windowNow, (window) => setWindow(reading, window)),
  run: (reading, key) => {
    const preset = presets(reading.series).find((one) => one.key === key);
    if (preset) setWindow(reading, key === "0" ? null : preset.window);
  },
};

/** @type {Action} */
export const resetAction = { id: "reset", label: "tool.reset", icon: "reset", group: "picture", keys: ["r"], run: ({ view }) => view.reset() };

/** @type {Action} */
export const formatAction = {
  id: "format", label: "format", group: "page", right: true,
  draw: ({ view, page, workspace }) => formatMenu(page.habits.format, (chosen) => {
    page.habits.format = chosen;
    for (const cell of workspace.cells) cell.view?.setFormat(chosen);
    if (!workspace.cells.some((cell) => cell.view === view)) view.setFormat(chosen);
    page.refresh();
  }),
};

/** The picture of a layout: so many rows of so many fields. @param {number} rows @param {number} columns */
const field = (rows, columns) => h("span", { class: "layout-sign", "aria-hidden": "true", "data-rows": rows, "data-columns": columns },
  Array.from({ length: rows * columns }, () => h("i", {})));

/** @param {import("../components/workspace.js").Workspace} workspace @param {import("../components/action-bar.js").Page} page */
function join(workspace, page) {
  workspace.setTogether(!workspace.together);
  page.refresh();
}

/** @param {import("../components/workspace.js").Workspace} workspace @param {import("../components/action-bar.js").Page} page */
function drawLines(workspace, page) {
  workspace.lines = !workspace.lines;
  workspace.drawLines();
  page.refresh();
}

/** @type {Action} */
const hangingAction = {
  id: "hanging", label: "hanging", group: "page", right: true,
  draw: ({ page }) => menu("hanging", t("hanging"), [
    ...page.protocols.map((one) => h("div", { class: "protocol" },
      choice(page.own(one) ? one.name : t(one.name), false, () => page.hang(one), "", one.id),
      page.own(one) && h("button", { type: "button", class: "plain icon-only", "aria-label": t("remove"), title: t("remove"), onclick: () => page.forgetHanging(one) }, icon("close")))),
    h("button", { type: "button", class: "plain choice keep-hanging", onclick: () => page.keepHanging() }, h("span", { class: "choice-name" }, icon("add"), t("hanging.keep"))),
  ], "hanging"),
};

/** @type {Action[]} */
export const pageActions = [
  hangingAction,
  {
    id: "layout", label: "layout", group: "page", right: true, keys: ["Alt+1", "Alt+2", "Alt+3", "Alt+4"], keysShown: "Alt+1 … 4",
    draw: ({ workspace, page }) => menu("layout", `${workspace.rows}×${workspace.columns}`, [
      h("div", { class: "layouts", role: "group", "aria-label": t("layout") }, LAYOUTS.map(([rows, columns]) =>
        h("button", {
          type: "button", class: "plain layout", "aria-label": t("layout.of", { rows, columns }), title: t("layout.of", { rows, columns }), "data-layout": `${rows}x${columns}`,
          "aria-pressed": String(workspace.rows === rows && workspace.columns === columns), onclick: () => workspace.setLayout(rows, columns),
        }, field(rows, columns)))),
      choice(t("layout.together"), workspace.together, () => join(workspace, page), "J", "together"),
      choice(t("layout.lines"), workspace.lines, () => drawLines(workspace, page), "L", "lines"),
      choice(t("layout.enlarge"), workspace.enlarged, () => workspace.enlarge(), "E", "enlarge"),
    ], "layout"),
    run: ({ workspace }, key) => workspace.setLayout(...LAYOUTS[[0, 1, 4, 7][Number(key?.slice(-1)) - 1]]),
  },
  { id: "together", label: "layout.together", group: "page", keys: ["j"], run: ({ workspace, page }) => join(workspace, page) },
  {
    id: "lines", label: "layout.lines", group: "page", keys: ["l"], when: ({ view }) => view.kind !== "volume",
    run: ({ workspace, page }) => drawLines(workspace, page),
  },
  { id: "enlarge", label: "layout.enlarge", group: "page", keys: ["e"], run: ({ workspace }) => workspace.enlarge() },
  {
    id: "next-cell", label: "layout.next", group: "page", keys: ["n", "Shift+N"],
    run: ({ workspace }, key) => workspace.next(key === "n" ? 1 : -1),
  },
  { id: "mode-2d", label: "help.mode.2d", group: "page", keys: ["Alt+a"], run: ({ page }) => page.setMode("2d") },
  { id: "mode-mpr", label: "help.mode.mpr", group: "page", keys: ["Alt+m"], when: ({ series }) => !!series.volume, run: ({ page }) => page.setMode("mpr") },
  { id: "mode-3d", label: "help.mode.3d", group: "page", keys: ["Alt+v"], when: ({ series }) => !!series.volume, run: ({ page }) => page.setMode("3d") },
  { id: "series", label: "help.series", group: "page", keys: ["[", "]"], run: ({ page }, key) => page.stepSeries(key === "]" ? 1 : -1) },
  { id: "network", label: "network", group: "page", keys: ["Alt+n"], run: ({ page }) => page.togglePanel("network") },
  { id: "help", label: "keys", group: "page", keys: ["?"], run: ({ page }) => page.help() },
];
