// @ts-check
/** Windows that readers know by heart, and the arithmetic of changing one. */

import { t } from "./language.js";

/** @typedef {import("./types.js").Window} Window */
/** @typedef {{key: string, label: string, fallback: string, window: Window}} Preset label is a message key */

/**
 * The file's own windows, or the whole range of values where it has none.
 * @param {import("./types.js").SeriesContents} series @returns {Window[]}
 */
export function ownWindows(series) {
  if (series.windows?.length) return series.windows;
  if (!series.value_range) return [];
  const [low, high] = series.value_range;
  return [{ center: (low + high) / 2, width: Math.max(high - low, 1), function: "linear" }];
}

/** The file's window is made for single slices; what a projection shows of a CT lies elsewhere. */
const CT_PROJECTIONS = /** @type {Record<string, Window>} */ ({
  maximum_ip: { center: 300, width: 1400, function: "linear" },
  minimum_ip: { center: -700, width: 600, function: "linear" },
  average_ip: { center: 0, width: 700, function: "linear" },
});

/**
 * What a projection begins with. null: the server's own choice.
 * @param {import("./types.js").SeriesContents} series @param {string} method @returns {Window | null}
 */
export const projectionWindow = (series, method) => (series.modality === "CT" && CT_PROJECTIONS[method]) || null;

/**
 * What the number keys choose: 0 the file's window, 1 and up those of the modality, else the file's others.
 * @param {import("./types.js").SeriesContents} series @returns {Preset[]}
 */
export function presets(series) {
  const own = ownWindows(series);
  /** @type {Preset[]} */
  const found = own.slice(0, 6).map((window, index) => ({
    key: index === 0 ? "0" : "", label: index === 0 ? "window.file" : "", fallback: window.explanation || t("window.numbered", { number: index + 1 }), window,
  }));
  const named = series.modality_presets ?? [];
  for (const { name, label, center, width, function: shape = "linear" } of named) {
    found.push({ key: "", label: `window.${name}`, fallback: label, window: { center, width, function: shape } });
  }
  const first = named.length ? own.slice(0, 6).length : 1;
  found.slice(first, first + 9).forEach((preset, index) => (preset.key = String(index + 1)));
  return found;
}

/**
 * How a picture windowed in one way becomes nearly the same in another, without asking the server: a line through its
 * grey levels. What the first window cut off is missing until the server's picture comes.
 * @param {Window} shown @param {Window} wanted @param {boolean} inverted
 * @returns {{slope: number, intercept: number}} grey levels from 0 to 1
 */
export function echo(shown, wanted, inverted) {
  const slope = shown.width / wanted.width;
  const intercept = (shown.center - wanted.center) / wanted.width + 0.5 - 0.5 * slope;
  return { slope, intercept: inverted ? 1 - slope - intercept : intercept };
}

/**
 * A window moved by a drag: right is wider, down is a higher center, as viewers do.
 * @param {Window} start @param {number} dx @param {number} dy CSS px @param {[number, number] | null} range
 * @returns {Window}
 */
export function dragged(start, dx, dy, range) {
  const whole = range ? range[1] - range[0] : start.width * 2;
  // Never so small that a narrow window cannot be left, never so large that it jumps.
  const step = Math.min(Math.max(whole, start.width), Math.max(start.width * 4, whole / 20)) / 700;
  const digits = start.width < 1 ? 4 : start.width < 40 ? 2 : 0;
  const round = (/** @type {number} */ value) => Number(value.toFixed(digits));
  const least = start.function && start.function !== "linear" ? step : 1;
  return { ...start, explanation: "", width: Math.max(round(start.width + dx * step), least), center: round(start.center + dy * step) };
}

/** @param {Window} window */
export const parameter = (window) => `${window.center},${window.width},${window.function ?? "linear"}`;

/** @param {Window | null} a @param {Window | null} b */
export const same = (a, b) =>
  a === b || (!!a && !!b && a.center === b.center && a.width === b.width && (a.function ?? "linear") === (b.function ?? "linear"));
