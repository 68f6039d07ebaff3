// @ts-check
/** What can be done with a volume. */
import { h } from "../lib/dom.js";
import { t } from "../model/language.js";
import { choice, menu } from "../components/toolbar.js";
import { METHODS } from "../components/volume-view.js";
import { formatAction, pageActions, resetAction, windowAction } from "./reading.js";

/** @typedef {import("../components/volume-view.js").VolumeView} VolumeView */
/** @typedef {import("../components/action-bar.js").Action<VolumeView>} Action */
/** @typedef {import("../components/action-bar.js").Reading<VolumeView>} Reading */

const SIDES = ["a", "p", "r", "l", "h", "f"];
const rays = (/** @type {Reading} */ { view }) => view.method === "volume_rendered";

/**
 * Presets that fit the modality; all of them where none does.
 * @param {import("../model/types.js").SeriesContents} series @param {any[]} all
 */
export function fittingPresets(series, all) {
  const some = all.filter((one) => !one.modalities?.length || one.modalities.includes(series.modality));
  return some.length ? some : all;
}

/** @param {any[]} all @param {string} name */
function presetName(all, name) {
  const key = `preset.${name}`;
  const text = t(key);
  return text === key ? all.find((one) => one.name === name)?.label ?? name : text;
}

/** A mean along a ray lies nowhere. @param {Reading} reading */
const placed = ({ view }) => view.method !== "average_ip";

/** What stands in the bar may be another thing afterwards. @param {Reading} reading @param {() => void} work */
function andRefresh(reading, work) {
  work();
  reading.page.refresh();
}

/** @param {Reading} reading */
function toggleClip({ view }) {
  if (!view.look.plane) view.clipHere();
  else {
    view.look.plane = null;
    view.moved();
  }
}

/** @type {import("../components/action-bar.js").Shelf[]} */
export const volumeShelves = [
  { id: "points", label: "volume.points", icon: "crosshair" },
  { id: "cuts", label: "volume.cuts", icon: "crop" },
];

/** @type {Action[]} */
export const volumeActions = [
  { id: "rotate", label: "tool.rotate", icon: "rotate", group: "hands", keys: ["t"], hand: "rotate" },
  { id: "window", label: "tool.window", icon: "window", group: "hands", keys: ["w"], hand: "window" },
  { id: "pan", label: "tool.pan", icon: "pan", group: "hands", keys: ["p"], hand: "pan" },
  { id: "zoom", label: "tool.zoom", icon: "zoom", group: "hands", keys: ["z"], hand: "zoom" },
  { id: "turntable", label: "volume.turntable", icon: "play", group: "turning", keys: [" "], when: ({ view }) => !view.playing, pressed: () => false, run: (reading) => andRefresh(reading, () => reading.view.play()) },
  { id: "turntable-stop", label: "tool.pause", icon: "pause", group: "turning", keys: [" "], when: ({ view }) => view.playing, pressed: () => true, run: (reading) => andRefresh(reading, () => reading.view.play()) },
  { id: "pick", label: "volume.pick", icon: "crosshair", group: "points", shelf: "points", keys: ["x"], hand: "pick", when: placed },
  { id: "measure", label: "volume.measure", icon: "length3d", group: "points", shelf: "points", keys: ["m"], hand: "measure", when: placed },
  { id: "crop", label: "volume.crop", icon: "crop", group: "cuts", shelf: "cuts", keys: ["c"], hand: "crop" },
  { id: "lasso", label: "volume.lasso", icon: "lasso", group: "cuts", shelf: "cuts", keys: ["k"], hand: "lasso" },
  { id: "lasso-undo", label: "volume.lasso.undo", icon: "undo", group: "cuts", shelf: "cuts", keys: ["u"], when: ({ view }) => view.look.lassos.length > 0, run: (reading) => andRefresh(reading, () => reading.view.undoLasso()) },
  { id: "clip", label: "volume.clip", icon: "plane", group: "cuts", shelf: "cuts", keys: ["b"], pressed: ({ view }) => !!view.look.plane, run: (reading) => andRefresh(reading, () => toggleClip(reading)) },
  { id: "uncut", label: "volume.uncut", icon: "whole", group: "cuts", shelf: "cuts", when: ({ view }) => view.look.isCut, run: (reading) => andRefresh(reading, () => reading.view.uncut()) },
  { id: "look", label: "volume.panel", group: "picture", keys: ["v"], run: ({ page }) => page.togglePanel("volume") },
  {
    id: "method", label: "method", group: "picture",
    draw: ({ view, page }) => menu("settings", t(`method.${view.method}`), METHODS.map((method) => choice(t(`method.${method}`), method === view.method, () => {
      page.habits.method = method;
      view.setMethod(method);
      page.refresh();
    }, "", method)), "method"),
  },
  {
    id: "preset", label: "preset", group: "picture", when: (reading) => rays(reading) && reading.page.habits.presets.length > 0,
    draw: ({ view, page, series }) => menu("series", presetName(page.habits.presets, view.preset), fittingPresets(series, page.habits.presets).map((one) =>
      choice(presetName(page.habits.presets, one.name), one.name === view.preset, () => {
        page.habits.preset = one.name;
        view.setPreset(one.name);
        page.habits.method = view.method;
        page.refresh();
      }, "", one.name)), "preset"),
  },
  windowAction,
  {
    id: "sides", label: "viewer.sides", group: "picture", keys: ["a", "l", "h", "f"], keysShown: "A L H F",
    draw: ({ view }) => h("span", { class: "views", role: "group", "aria-label": t("viewer.sides") }, SIDES.map((letter) =>
      h("button", { type: "button", class: "tool side", title: t(`side.${letter}`), "data-side": letter, "data-tool": `side-${letter}`, onclick: () => view.stand(letter) }, letter.toUpperCase()))),
    run: ({ view }, key) => view.stand(/** @type {string} */ (key)),
  },
  resetAction,
  {
    id: "nudge", label: "help.nudge", group: "scroll", keysShown: "↑ ↓ ← →",
    keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowRight", "Shift+ArrowUp", "Shift+ArrowDown"],
    run: ({ view }, key = "") => {
      const step = key.startsWith("Shift+") ? 2 : 10;
      const way = key.replace("Shift+Arrow", "").replace("Arrow", "");
      view.nudge(way === "Left" ? -step : way === "Right" ? step : 0, way === "Up" ? -step : way === "Down" ? step : 0);
    },
  },
  { id: "closer", label: "viewer.zoom", group: "picture", keys: ["+", "=", "-"], keysShown: "+ −", run: ({ view }, key) => view.zoomBy(key === "-" ? 1 / 1.2 : 1.2) },
  formatAction,
  ...pageActions,
];
