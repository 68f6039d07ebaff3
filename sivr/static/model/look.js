// @ts-check
/** How the grey levels of a frame become what is seen: palette, highlighted values, interpolation, overlays, shutter. */

/** @typedef {{low: number, high: number}} Band modality values, ends included */
/**
 * @typedef {object} Look
 * @property {string} palette empty for grey @property {Band | null} band highlighted
 * @property {string} interpolation empty: smooth, and pixels as squares where one is very large
 * @property {boolean} overlay @property {boolean} shutter
 */

/** @type {Readonly<Look>} */
export const PLAIN = Object.freeze({ palette: "", band: null, interpolation: "", overlay: true, shutter: true });

/** PS3.6 Annex B, as the node names them. */
export const PALETTES = ["", "hot-iron", "pet", "hot-metal-blue", "pet-20-step", "spring", "summer", "fall", "winter"];
export const INTERPOLATIONS = ["", "nearest", "linear", "cubic", "lanczos"];

/** Whether grey frames come in color. @param {Look} look */
export const isColored = (look) => !!look.palette || !!look.band;

/** Whether the node has to enlarge, because the browser cannot do it so. @param {Look} look */
export const needsServer = (look) => look.interpolation === "cubic" || look.interpolation === "lanczos";

/** What a request says of it; nothing where it is as usual. @param {Look} look @param {boolean} color whether frames are in color anyway @returns {string[]} */
export function lookQuery(look, color) {
  return [
    look.palette && !color && `palette=${look.palette}`,
    look.band && !color && `threshold=${look.band.low},${look.band.high}`,
    !look.overlay && "overlay=no",
    !look.shutter && "shutter=no",
  ].filter((one) => typeof one === "string" && one !== "").map(String);
}

/** What a threshold begins with: bone in CT, else the upper quarter of the window. @param {import("./types.js").SeriesContents} series @param {import("./types.js").Window | null} window @returns {Band} */
export function firstBand(series, window) {
  const [low, high] = series.value_range ?? [0, 255];
  if (series.modality === "CT" && high > 250) return { low: 250, high };
  if (!window) return { low: Math.round(low + 0.75 * (high - low)), high };
  return { low: Math.round(window.center + window.width / 4), high };
}
