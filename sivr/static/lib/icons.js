// @ts-check
/** Line icons, 24 x 24, drawn here. */
import { svg } from "./dom.js";

/** @type {Record<string, string>} */
const PATHS = {
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5",
  add: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  back: "M15 5l-7 7 7 7",
  menu: "M4 7h16M4 12h16M4 17h16",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  upload: "M12 16V5M7 9l5-5 5 5M5 19h14",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  folder: "M3 7h6l2 2h10v10H3z",
  retry: "M19 12a7 7 0 1 1-2-5M19 3v5h-5",
  check: "M5 12l5 5 9-10",
  warning: "M12 4l9 16H3zM12 10v4M12 17v.5",
  user: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c1-5 4-6 8-6s7 1 8 6",
  patients: "M9 5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM2.5 20c.7-4 3-5.5 6.5-5.500s5.8 1.5 6.5 5.500M16 5.500a3.5 3.5 0 0 1 0 6.500M18 15c2 .8 3 2.3 3.5 5",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5",
  logout: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  window: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  scroll: "M6 5h12v4H6zM6 10.500h12v4H6zM6 16h12v4H6z",
  pan: "M12 3v18M3 12h18M12 3l-3 3M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3",
  zoom: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.500M11 8v6M8 11h6",
  rotate: "M4 12a8 8 0 0 1 14-5M20 12a8 8 0 0 1-14 5M18 3v4h-4M6 21v-4h4",
  invert: "M4 4h16v16H4zM4 20L20 4M13 16h4",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  original: "M6 8v8M4.5 9.500L6 8M18 8v8M16.5 9.500L18 8M12 10v.5M12 14v.5",
  reset: "M5 12a7 7 0 1 0 2-5M5 3v5h5",
  turn: "M7 4h6a5 5 0 0 1 5 5v3M15 9l3 3 3-3M4 12h9v8H4z",
  flip: "M12 3v18M9 7L3 17h6zM15 7l6 10h-6z",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  series: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  more: "M5 12h.5M12 12h.5M19 12h.5",
  crosshair: "M12 3v7M12 14v7M3 12h7M14 12h7",
  length: "M4 20L20 4M3 16l5 5M16 3l5 5",
  polyline: "M3 18l5-9 6 5 7-10",
  angle: "M20 19H4L16 5M10.500 19a7 7 0 0 0-2-5",
  cobb: "M4 5l14 3M5 20l14-6M8 9v7",
  bidirectional: "M4 20L20 4M8 8l8 8",
  rectangle: "M4 6h16v12H4z",
  ellipse: "M12 6c5 0 9 2.700 9 6s-4 6-9 6-9-2.700-9-6 4-6 9-6z",
  circle: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16z",
  freehand: "M5 15c-3-6 3-11 8-9s8 2 6 7-4 3-6 6-6 1-8-4z",
  probe: "M12 3v6M12 15v6M3 12h6M15 12h6M12 12h.1",
  arrow: "M4 20L19 5M19 5h-7M19 5v7",
  text: "M5 7V5h14v2M12 5v14M9 19h6",
  mark: "M5 4h14v11h-8l-4 5v-5H5z",
  key: "M12 3.500l2.600 5.400 5.900.8-4.300 4.100 1 5.900-5.200-2.900-5.200 2.900 1-5.900L3.500 9.700l5.900-.8z",
  undo: "M5 10h9a5 5 0 0 1 0 10h-4M9 5l-5 5 5 5",
  redo: "M19 10h-9a5 5 0 0 0 0 10h4M15 5l5 5-5 5",
  eye: "M3 12c4-7 14-7 18 0-4 7-14 7-18 0zM12 9.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z",
  hidden: "M3 12c4-7 14-7 18 0-4 7-14 7-18 0zM5 20L19 4",
  lock: "M6 11h12v9H6zM8 11V8a4 4 0 0 1 8 0v3",
  bin: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  layout: "M4 4h16v16H4zM12 4v16M4 12h16",
  hanging: "M4 5h16M7 5v4M17 5v4M4 9h6v9H4zM14 9h6v9h-6z",
  slab: "M4 14l8-4 8 4-8 4zM4 10l8-4 8 4",
  fusion: "M9 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM15 5a7 7 0 1 1 0 14 7 7 0 0 1 0-14z",
  curve: "M4 19c0-9 7-4 9-9s4-5 7-5M4 19v.5M13 10v.5M20 5v.5",
  straight: "M4 12h16M12 4v16M7 9v6h6",
  history: "M4 12a8 8 0 1 0 3-6M4 4v4h4M12 8v5l3 2",
  signal: "M4 19v-3M9 19v-6M14 19V9M19 19V5",
  keyboard: "M3 7h18v11H3zM7 11h.5M11 11h.5M15 11h.5M8 15h8",
};

/**
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: PATHS[name] ?? "" }));
}
