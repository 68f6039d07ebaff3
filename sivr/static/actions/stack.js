// @ts-check
/** What can be done with a stack of frames. */
import { measureActions, measureKeys, measureShelf } from "./measure.js";
import { cineActions, lookActions, magnifierAction, outActions, outShelf } from "./pictures.js";
import { formatAction, pageActions, resetAction, windowAction } from "./reading.js";

/** @typedef {import("../components/stack-view.js").StackView} StackView */
/** @typedef {import("../components/action-bar.js").Action<StackView>} Action */
/** @typedef {import("../components/action-bar.js").Reading<StackView>} Reading */

const grey = (/** @type {Reading} */ { series }) => !series.color;
const several = (/** @type {Reading} */ { series }) => series.frames.length > 1;

/** @param {Reading} reading */
const at = ({ view }) => view.reader?.index ?? 0;
/** @param {Reading} reading */
const middle = ({ view }) => ({ x: view.width / 2, y: view.height / 2 });

/** @type {import("../components/action-bar.js").Shelf[]} */
export const stackShelves = [measureShelf, outShelf];

/** @type {Action[]} */
export const stackActions = [
  ...measureKeys,
  { id: "window", label: "tool.window", icon: "window", group: "hands", keys: ["w"], hand: "window", when: grey },
  { id: "scroll", label: "tool.scroll", icon: "scroll", group: "hands", keys: ["s"], hand: "scroll", when: several },
  { id: "pan", label: "tool.pan", icon: "pan", group: "hands", keys: ["p"], hand: "pan" },
  { id: "zoom", label: "tool.zoom", icon: "zoom", group: "hands", keys: ["z"], hand: "zoom" },
  magnifierAction,
  ...measureActions,
  windowAction,
  ...lookActions,
  { id: "invert", label: "tool.invert", icon: "invert", group: "picture", keys: ["i"], pressed: ({ view }) => !!view.reader?.inverted, run: ({ view }) => view.invert() },
  { id: "fit", label: "tool.fit", icon: "fit", group: "picture", keys: ["f"], run: ({ view }) => view.fit() },
  { id: "original", label: "tool.original", icon: "original", group: "picture", keys: ["o"], run: ({ view }) => view.original() },
  { id: "turn", label: "tool.turn", icon: "turn", group: "picture", keys: ["t"], run: ({ view }) => view.turn() },
  { id: "flip", label: "tool.flip", icon: "flip", group: "picture", keys: ["h"], run: ({ view }) => view.mirror() },
  { id: "play", label: "tool.play", icon: "play", group: "picture", keys: [" "], when: (reading) => several(reading) && !reading.view.playing, pressed: () => false, run: ({ view }) => view.play() },
  { id: "pause", label: "tool.pause", icon: "pause", group: "picture", keys: [" "], when: (reading) => several(reading) && reading.view.playing, pressed: () => true, run: ({ view }) => view.play() },
  resetAction,
  ...outActions,
  ...cineActions,
  {
    id: "step", label: "help.step", group: "scroll", keys: ["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft"], keysShown: "↑ ↓ ← →", when: several,
    run: (reading, key) => reading.view.go(at(reading) + (key === "ArrowDown" || key === "ArrowRight" ? 1 : -1)),
  },
  { id: "leap", label: "help.leap", group: "scroll", keys: ["PageDown", "PageUp"], when: several, run: (reading, key) => reading.view.go(at(reading) + (key === "PageDown" ? 10 : -10)) },
  { id: "ends", label: "help.ends", group: "scroll", keys: ["Home", "End"], when: several, run: ({ view }, key) => view.go(key === "Home" ? 0 : (view.reader?.count ?? 1) - 1) },
  { id: "closer", label: "viewer.zoom", group: "picture", keys: ["+", "=", "-"], keysShown: "+ −", run: (reading, key) => reading.view.zoomBy(key === "-" ? 0.8 : 1.25, middle(reading)) },
  formatAction,
  ...pageActions,
];
