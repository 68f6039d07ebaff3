// @ts-check
/** What can be done with planes through a volume. */
import { formatAction, pageActions, resetAction, windowAction } from "./reading.js";

/** @typedef {import("../components/plane-view.js").Planes} Planes */
/** @typedef {import("../components/action-bar.js").Action<Planes>} Action */
/** @typedef {import("../components/action-bar.js").Reading<Planes>} Reading */

/** The plane that has the focus, else the first. @param {Reading} reading */
export const focusedPlane = ({ view }) => view.views.find((one) => one.contains(document.activeElement)) ?? view.views[0];

/** @type {import("../components/action-bar.js").Shelf[]} */
export const planesShelves = [];

/** @type {Action[]} */
export const planesActions = [
  { id: "crosshair", label: "tool.crosshair", icon: "crosshair", group: "hands", keys: ["c"], hand: "crosshair" },
  { id: "window", label: "tool.window", icon: "window", group: "hands", keys: ["w"], hand: "window" },
  { id: "scroll", label: "tool.scroll", icon: "scroll", group: "hands", keys: ["s"], hand: "scroll" },
  { id: "pan", label: "tool.pan", icon: "pan", group: "hands", keys: ["p"], hand: "pan" },
  { id: "zoom", label: "tool.zoom", icon: "zoom", group: "hands", keys: ["z"], hand: "zoom" },
  windowAction,
  resetAction,
  {
    id: "step", label: "help.step", group: "scroll", keys: ["ArrowUp", "ArrowDown", "ArrowRight", "ArrowLeft"], keysShown: "↑ ↓ ← →",
    run: (reading, key) => focusedPlane(reading)?.step(key === "ArrowUp" || key === "ArrowRight" ? 1 : -1),
  },
  { id: "leap", label: "help.leap", group: "scroll", keys: ["PageUp", "PageDown"], run: (reading, key) => focusedPlane(reading)?.step(key === "PageUp" ? 10 : -10) },
  { id: "closer", label: "viewer.zoom", group: "picture", keys: ["+", "=", "-"], keysShown: "+ −", run: (reading, key) => focusedPlane(reading)?.zoomBy(key === "-" ? 0.8 : 1.25) },
  formatAction,
  ...pageActions,
];
