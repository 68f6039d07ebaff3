// @ts-check
/** What can be done with planes through a volume. */
import { h } from "../lib/dom.js";
import { number, t } from "../model/language.js";
import { firstBand } from "../model/look.js";
import { ownWindows } from "../model/windows.js";
import { lookMenu } from "../components/look-menu.js";
import { choice, menu } from "../components/toolbar.js";
import { OVER_PALETTE, SLAB_METHODS, suvOf, suvWindow } from "../components/planes.js";
import { fittingPresets } from "./volume.js";
import { formatAction, pageActions, resetAction, windowAction } from "./reading.js";

/** @typedef {import("../components/planes.js").Planes} Planes */
/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../components/action-bar.js").Action<Planes>} Action */
/** @typedef {import("../components/action-bar.js").Reading<Planes>} Reading */

const SLABS_MM = [0, 2, 5, 10, 20, 50];
const TURN_RAD = Math.PI / 36;
const PALETTES = ["hot-iron", "pet", "hot-metal-blue", "pet-20-step", "grey"];
const SUVS = [2.5, 5, 10, 20];

/** The plane that has the focus, else the first. @param {Reading} reading */
export const focusedPlane = ({ view }) => view.views.find((one) => one.contains(document.activeElement)) ?? view.views[0];

/** The plane or curved picture that has the focus, else the first plane. @param {Reading} reading */
const focused = (reading) => reading.view.flat.find((one) => one.contains(document.activeElement)) ?? focusedPlane(reading);

/** Other series of the study in the same coordinates. @param {Reading} reading @returns {SeriesContents[]} */
function partners({ cell, series }) {
  const reference = series.frame_of_reference_uid;
  return (cell.study?.series ?? []).filter((one) => one.volume && one.series_uid !== series.series_uid && reference && one.frame_of_reference_uid === reference);
}

/** @param {Reading} reading @param {SeriesContents} series */
function layOver({ view, page }, series) {
  const suv = suvOf(series);
  const window = suv ? suvWindow(SUVS[1], suv) : ownWindows(series)[0] ?? null;
  view.setOver({ series, window, palette: view.over?.palette ?? OVER_PALETTE, opacity: view.over?.opacity ?? 0.6, hidden: false });
  page.refresh();
}

/** @param {Reading} reading */
function slabMenu({ view, page }) {
  const set = (/** @type {number} */ mm) => {
    view.setSlab(mm);
    page.refresh();
  };
  const typed = h("input", { type: "number", min: 0, max: 500, step: "any", value: String(view.slab_mm), "aria-label": t("slab.thickness"), name: "slab", onchange: () => set(Number(typed.value)) });
  const label = view.slab_mm ? `${t("slab.mm", { mm: number(view.slab_mm, 1) })} ${t(`slab.short.${view.method}`)}` : t("slab");
  return menu("slab", label, [
    ...SLABS_MM.map((mm) => choice(mm ? t("slab.mm", { mm }) : t("slab.thin"), view.slab_mm === mm, () => set(mm), "", `slab-${mm}`)),
    h("label", { class: "sheet-row" }, t("slab.thickness"), typed),
    ...SLAB_METHODS.map((method) => choice(t(`slab.${method}`), view.method === method, () => {
      view.setMethod(method);
      page.refresh();
    }, "", method)),
  ], "slab");
}

/** @param {Reading} reading */
function fusionMenu(reading) {
  const { view, page } = reading;
  const { over } = view;
  const change = (/** @type {Partial<import("../components/planes.js").Over>} */ more) => {
    if (view.over) view.setOver({ ...view.over, ...more });
  };
  const opacity = h("input", {
    type: "range", min: 0, max: 1, step: 0.05, value: String(over?.opacity ?? 0.6), "aria-label": t("fusion.opacity"), name: "opacity",
    oninput: () => change({ opacity: Number(opacity.value) }),
  });
  const suv = over ? suvOf(over.series) : null;
  const windows = suv
    ? SUVS.map((high) => ({ label: t("fusion.suv", { high: number(high, 1) }), window: suvWindow(high, suv), value: `suv-${high}` }))
    : (over ? ownWindows(over.series) : []).slice(0, 4).map((window) => ({ label: `${number(window.center, 1)} / ${number(window.width, 1)}`, window, value: "" }));
  return menu("fusion", t("fusion"), [
    choice(t("fusion.alone"), !over, () => {
      view.setOver(null);
      page.refresh();
    }, "", "none"),
    ...partners(reading).map((series) => choice([series.modality, series.description].filter(Boolean).join(" · "), over?.series.series_uid === series.series_uid, () => layOver(reading, series), "", series.series_uid)),
    over && h("label", { class: "sheet-row" }, t("fusion.opacity"), opacity),
    ...windows.map(({ label, window, value }) => choice(label, over?.window?.width === window.width && over?.window?.center === window.center, () => {
      change({ window });
      page.refresh();
    }, "", value)),
    ...(over ? PALETTES : []).map((palette) => choice(t(`palette.${palette}`), over?.palette === palette, () => {
      change({ palette });
      page.refresh();
    }, "", `palette-${palette}`)),
  ].filter((one) => one instanceof Node), "fusion");
}

/** @param {Reading} reading */
function curveMenu({ view, page }) {
  const { curve } = view;
  const turn = h("input", {
    type: "range", min: 0, max: 359, step: 1, value: String(curve.turn_deg), "aria-label": t("curve.turn"), name: "curve-turn",
    oninput: () => view.setCurve({ ...view.curve, turn_deg: Number(turn.value) }),
  });
  const forms = /** @type {const} */ (["straightened", "stretched"]);
  return menu("curve", t(`curve.form.${curve.form}`), [
    ...forms.map((form) => choice(t(`curve.form.${form}`), curve.form === form, () => {
      view.setCurve({ ...view.curve, form });
      page.refresh();
    }, "", form)),
    h("label", { class: "sheet-row" }, t("curve.turn"), turn),
    choice(t("curve.take"), false, () => {
      view.dropKnot();
      page.refresh();
    }, "", "take"),
    choice(t("curve.clear"), false, () => {
      view.setCurve();
      page.refresh();
    }, "", "clear"),
  ], "curve");
}

/** Thicker or thinner by a step that grows with the slab. @param {Planes} view @param {1 | -1} way */
function thicken(view, way) {
  const step = view.slab_mm + way < 10 ? 1 : view.slab_mm + way < 30 ? 2 : 5;
  view.setSlab(Math.max(0, view.slab_mm + way * step));
}

/** @param {Reading} reading */
function volumeBeside({ view, page, series }) {
  const { format, tools, method, preset, presets } = page.habits;
  const fitting = fittingPresets(series, presets);
  view.volumeSettings = { format, tool: tools.volume ?? "rotate", method, presets, preset: (fitting.find((one) => one.name === preset) ?? fitting[0])?.name ?? "" };
  view.show(view.fourth === "volume" ? (view.curve.points.length >= 2 ? "curve" : "") : "volume");
  page.refresh();
}

/** @type {import("../components/action-bar.js").Shelf[]} */
export const planesShelves = [];

/** @type {Action[]} */
export const planesActions = [
  { id: "crosshair", label: "tool.crosshair", icon: "crosshair", group: "hands", keys: ["c"], hand: "crosshair" },
  { id: "window", label: "tool.window", icon: "window", group: "hands", keys: ["w"], hand: "window" },
  { id: "scroll", label: "tool.scroll", icon: "scroll", group: "hands", keys: ["s"], hand: "scroll" },
  { id: "pan", label: "tool.pan", icon: "pan", group: "hands", keys: ["p"], hand: "pan" },
  { id: "zoom", label: "tool.zoom", icon: "zoom", group: "hands", keys: ["z"], hand: "zoom" },
  { id: "curve", label: "tool.curve", icon: "curve", group: "hands", keys: ["k"], hand: "curve" },
  { id: "over", label: "tool.over", icon: "fusion", group: "hands", keys: ["u"], hand: "over", when: ({ view }) => !!view.over },
  windowAction,
  { id: "invert", label: "tool.invert", icon: "invert", group: "picture", keys: ["i"], pressed: ({ view }) => view.inverted, run: ({ view, page }) => (view.invert(), page.refresh()) },
  { id: "look", label: "look", group: "picture", draw: ({ view, page }) => lookMenu(view, () => page.refresh()) },
  {
    id: "threshold", label: "threshold", group: "picture", keys: ["g"],
    run: ({ view, page, series }) => (view.setLook({ band: view.look.band ? null : firstBand(series, view.windowNow) }), page.refresh()),
  },
  { id: "slab", label: "slab", group: "planes", draw: slabMenu },
  { id: "fusion", label: "fusion", group: "planes", when: (reading) => partners(reading).length > 0, draw: fusionMenu },
  { id: "curve-menu", label: "curve", group: "planes", when: ({ view }) => view.curve.points.length > 0, draw: curveMenu },
  { id: "straight", label: "planes.straight", icon: "straight", group: "planes", keys: ["o"], run: ({ view }) => view.straighten() },
  { id: "fourth", label: "planes.fourth", icon: "rotate", group: "planes", keys: ["v"], pressed: ({ view }) => view.fourth === "volume", run: volumeBeside },
  { id: "fit", label: "tool.fit", icon: "fit", group: "picture", keys: ["f"], run: ({ view }) => view.home() },
  resetAction,
  { id: "thicker", label: "slab.thicker", group: "planes", keys: [".", ","], keysShown: ". ,", run: ({ view, page }, key) => (thicken(view, key === "." ? 1 : -1), page.refresh()) },
  {
    id: "slab-method", label: "slab.method", group: "planes", keys: ["m"],
    run: ({ view, page }) => {
      view.setMethod(SLAB_METHODS[(SLAB_METHODS.indexOf(view.method) + 1) % SLAB_METHODS.length]);
      page.refresh();
    },
  },
  {
    id: "turn-planes", label: "planes.turn", group: "planes", keys: ["Shift+ArrowLeft", "Shift+ArrowRight"], keysShown: "⇧ ← →",
    run: (reading, key) => reading.view.turnAbout(focusedPlane(reading), key === "Shift+ArrowLeft" ? TURN_RAD : -TURN_RAD),
  },
  { id: "over-shown", label: "fusion.show", group: "planes", keys: ["b"], when: ({ view }) => !!view.over, run: ({ view }) => view.over && view.setOver({ ...view.over, hidden: !view.over.hidden }) },
  { id: "curve-point", label: "curve.point", group: "planes", keys: ["Enter"], when: ({ view }) => view.tool === "curve", run: ({ view, page }) => (view.addKnot(view.point), page.refresh()) },
  { id: "curve-take", label: "curve.take", group: "planes", keys: ["Backspace"], when: ({ view }) => view.curve.points.length > 0, run: ({ view, page }) => (view.dropKnot(), page.refresh()) },
  { id: "large", label: "planes.large", group: "page", keys: ["x"], run: (reading) => reading.view.enlarge(focused(reading)) },
  {
    id: "step", label: "help.step", group: "scroll", keys: ["ArrowUp", "ArrowDown", "ArrowRight", "ArrowLeft"], keysShown: "↑ ↓ ← →",
    run: (reading, key) => focused(reading)?.step(key === "ArrowUp" || key === "ArrowRight" ? 1 : -1),
  },
  { id: "leap", label: "help.leap", group: "scroll", keys: ["PageUp", "PageDown"], run: (reading, key) => focused(reading)?.step(key === "PageUp" ? 10 : -10) },
  { id: "closer", label: "viewer.zoom", group: "picture", keys: ["+", "=", "-"], keysShown: "+ −", run: (reading, key) => focused(reading)?.zoomBy(key === "-" ? 0.8 : 1.25) },
  formatAction,
  ...pageActions,
];
