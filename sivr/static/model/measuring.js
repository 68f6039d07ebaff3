// @ts-check
/**
 * What annotations on frames are made of and what they measure. The rules are those of the server's model
 * (spacing, shapes, measuring): the same points give the same figures there.
 */
import { number, t } from "./language.js";

/** @typedef {{x: number, y: number}} Point column and row; the first pixel's center is 0.5, 0.5 */
/** @typedef {{origin: string, unit_x: string, unit_y: string, step_x: number, step_y: number, note: string}} Spacing */
/** @typedef {{left: number, top: number, right: number, bottom: number, kind: string, unit_x: string, unit_y: string, step_x: number, step_y: number}} Region */
/** @typedef {{spacing: Spacing, regions: Region[], suv_bw: number | null, why_no_suv: string}} Scale */
/** @typedef {{name: string, value: number, unit: string}} Quantity */
/**
 * @typedef {object} Kind
 * @property {number} points how many a drawing ends by itself with; 0 of a whole frame, Infinity where the reader ends it
 * @property {string} icon
 * @property {string} [shape] what values are counted in
 * @property {boolean} [pairs] two points each are one line
 * @property {boolean} [traced] points come as the hand goes
 * @property {boolean} [words] a text is asked for when it is drawn
 */

/** @type {Record<string, Kind>} */
export const KINDS = {
  length: { points: 2, icon: "length" },
  polyline: { points: Infinity, icon: "polyline" },
  angle: { points: 3, icon: "angle" },
  cobb: { points: 4, icon: "cobb", pairs: true },
  bidirectional: { points: 2, icon: "bidirectional" },
  rectangle: { points: 2, icon: "rectangle", shape: "rectangle" },
  ellipse: { points: 2, icon: "ellipse", shape: "ellipse" },
  circle: { points: 2, icon: "circle", shape: "circle" },
  freehand: { points: Infinity, icon: "freehand", shape: "polygon", traced: true },
  probe: { points: 1, icon: "probe", shape: "point" },
  arrow: { points: 2, icon: "arrow", words: true },
  text: { points: 1, icon: "text", words: true },
  mark: { points: 0, icon: "mark", words: true },
  key: { points: 0, icon: "key" },
};

const UNKNOWN = { origin: "pixels", unit_x: "px", unit_y: "px", step_x: 1, step_y: 1, note: "" };

/**
 * The spacing that holds for these points of a frame.
 * @param {import("./types.js").SeriesContents} series @param {number} index of the frame @param {Point[]} points
 * @returns {Spacing}
 */
export function spacingAt(series, index, points) {
  const frame = /** @type {any} */ (series.frames[index]);
  /** @type {Scale | undefined} */
  const scale = series.scales?.[frame?.scale ?? 0];
  if (!scale) return UNKNOWN;
  const region = points.length ? scale.regions.find((one) => points.every(({ x, y }) => one.left <= x && x <= one.right && one.top <= y && y <= one.bottom)) : undefined;
  return region ? { origin: "ultrasound region", unit_x: region.unit_x, unit_y: region.unit_y, step_x: region.step_x, step_y: region.step_y, note: "" } : scale.spacing;
}

/** @param {Spacing} spacing */
const unitOf = ({ unit_x, unit_y }) => (unit_x === unit_y ? unit_x : "");

/** @param {Point} a @param {Point} b @param {Spacing} spacing */
const apart = (a, b, { step_x, step_y }) => Math.hypot((b.x - a.x) * step_x, (b.y - a.y) * step_y);

/** Between two directions, degrees. @param {Point} a @param {Point} b @param {Point} c @param {Point} d @param {Spacing} spacing */
function angle(a, b, c, d, { step_x, step_y }) {
  const [ax, ay, bx, by] = [(b.x - a.x) * step_x, (b.y - a.y) * step_y, (d.x - c.x) * step_x, (d.y - c.y) * step_y];
  return (Math.abs(Math.atan2(ax * by - ay * bx, ax * bx + ay * by)) * 180) / Math.PI;
}

/** Center and half axes of an ellipse given by the ends of its axes. @param {Point[]} points */
export function ellipseOf([a, b, c, d]) {
  const center = { x: (a.x + b.x + c.x + d.x) / 4, y: (a.y + b.y + c.y + d.y) / 4 };
  return { center, first: { x: (b.x - a.x) / 2, y: (b.y - a.y) / 2 }, second: { x: (d.x - c.x) / 2, y: (d.y - c.y) / 2 } };
}

/** The axes of the ellipse in a box between two corners. @param {Point} a @param {Point} b @returns {Point[]} */
export function ellipseIn(a, b) {
  const [x, y] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
  return [{ x: Math.min(a.x, b.x), y }, { x: Math.max(a.x, b.x), y }, { x, y: Math.min(a.y, b.y) }, { x, y: Math.max(a.y, b.y) }];
}

/** A short axis across the middle of a long one, half as long in the patient. @param {Point} a @param {Point} b @param {Spacing} spacing @returns {Point[]} */
export function crossAxis(a, b, { step_x, step_y }) {
  const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  const [dx, dy] = [((b.x - a.x) * step_x) / 4, ((b.y - a.y) * step_y) / 4];
  return [{ x: middle.x + dy / step_x, y: middle.y - dx / step_y }, { x: middle.x - dy / step_x, y: middle.y + dx / step_y }];
}

/**
 * Lengths, angles and sizes; none that the units do not allow.
 * @param {string} kind @param {Point[]} points @param {Spacing} spacing @returns {Quantity[]}
 */
export function quantities(kind, points, spacing) {
  const unit = unitOf(spacing);
  const { step_x, step_y } = spacing;
  const one = (/** @type {string} */ name, /** @type {number} */ value, /** @type {string} */ of) => ({ name, value, unit: of });
  if (!unit) {
    if (kind !== "length") return [];
    return [one("horizontal", Math.abs(points[1].x - points[0].x) * step_x, spacing.unit_x), one("vertical", Math.abs(points[1].y - points[0].y) * step_y, spacing.unit_y)];
  }
  if (kind === "length") return [one("length", apart(points[0], points[1], spacing), unit)];
  if (kind === "polyline") return [one("path", points.slice(1).reduce((sum, point, at) => sum + apart(points[at], point, spacing), 0), unit)];
  if (kind === "angle") return [one("angle", angle(points[1], points[0], points[1], points[2], spacing), "deg")];
  if (kind === "cobb") {
    const between = angle(points[0], points[1], points[2], points[3], spacing);
    return [one("cobb", Math.min(between, 180 - between), "deg")];
  }
  if (kind === "bidirectional") return [one("long_axis", apart(points[0], points[1], spacing), unit), one("short_axis", apart(points[2], points[3], spacing), unit)];
  if (kind === "rectangle") return [one("area", Math.abs((points[1].x - points[0].x) * (points[1].y - points[0].y)) * step_x * step_y, `${unit}2`)];
  if (kind === "circle") {
    const radius = apart(points[0], points[1], spacing);
    return [one("area", Math.PI * radius * radius, `${unit}2`), one("diameter", 2 * radius, unit)];
  }
  if (kind === "ellipse") {
    const { first, second } = ellipseOf(points);
    return [one("area", Math.PI * Math.abs(first.x * second.y - first.y * second.x) * step_x * step_y, `${unit}2`)];
  }
  if (kind === "freehand") {
    const twice = points.reduce((sum, point, at) => {
      const next = points[(at + 1) % points.length];
      return sum + point.x * next.y - next.x * point.y;
    }, 0);
    return [one("area", (Math.abs(twice) / 2) * step_x * step_y, `${unit}2`)];
  }
  return [];
}

/** Units as people read them. @type {Record<string, string>} */
const SIGNS = { mm2: "mm²", px2: "px²", deg: "°", BQML: "Bq/ml", SUVbw: "SUVbw", CNTS: "", "cm2": "cm²", "cm3": "cm³" };

/** @param {number} value @param {string} unit */
export function withUnit(value, unit) {
  const size = Math.abs(value);
  if (unit === "mm2" && size >= 1000) return `${number(value / 100, 2)} cm²`;
  const text = number(value, size >= 1000 ? 0 : size >= 100 ? 1 : 2);
  const sign = SIGNS[unit] ?? unit;
  return sign === "°" ? `${text}°` : `${text} ${sign}`.trim();
}

/** Who says how large pixels are, in a few words. @param {Spacing} spacing */
export const originText = (spacing) => t(`spacing.${spacing.origin.replaceAll(" ", "-")}`, { note: spacing.note });

/**
 * What stands beside a drawing: figures, values, and whose spacing it is.
 * @param {{kind: string, points: Point[], name: string, text: string}} drawing
 * @param {Spacing} spacing @param {any} [statistics] of the server
 * @returns {string[]}
 */
export function labelLines(drawing, spacing, statistics) {
  const found = quantities(drawing.kind, drawing.points, spacing);
  const plain = ["length", "path", "angle", "cobb", "horizontal", "vertical"];
  const lines = found.map(({ name, value, unit }) => (plain.includes(name) ? withUnit(value, unit) : `${t(`quantity.${name}`)} ${withUnit(value, unit)}`));
  if (drawing.kind === "bidirectional" && found.length) lines.splice(0, 2, found.map(({ value, unit }) => withUnit(value, unit)).join(" × "));
  if (statistics?.color) lines.push(`RGB ${statistics.color.join(", ")}`);
  for (const one of statistics?.figures ?? []) {
    if (drawing.kind === "probe") lines.push(withUnit(one.mean, one.unit));
    else {
      lines.push(`${t("quantity.mean")} ${withUnit(one.mean, one.unit)} · ${t("quantity.sd")} ${number(one.sd, 2)}`);
      lines.push(`${t("quantity.min")} ${number(one.min, 2)} · ${t("quantity.max")} ${number(one.max, 2)}`);
    }
  }
  if (statistics && !statistics.count && !statistics.color) lines.push(t("measure.no-values"));
  if (drawing.kind === "probe") lines.push(`${Math.floor(drawing.points[0].x) + 1}, ${Math.floor(drawing.points[0].y) + 1}`);
  if (found.some(({ name }) => name !== "angle" && name !== "cobb")) lines.push(originText(spacing));
  return [drawing.name, ...drawing.text.split("\n").slice(0, 4), ...lines].filter(Boolean);
}
