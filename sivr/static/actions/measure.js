// @ts-check
/** Measuring and annotating stacks: tools, keys, and what they do with the hand. */
import { h } from "../lib/dom.js";
import { t } from "../model/language.js";
import "../model/messages/measure.js";
import { KINDS } from "../model/measuring.js";
import { addHands } from "../tools/hands.js";
import { askWords } from "../components/annotation-words.js";

/** @typedef {import("../components/stack-view.js").StackView} StackView */
/** @typedef {import("../components/action-bar.js").Action<StackView>} Action */
/** @typedef {import("../components/action-bar.js").Reading<StackView>} Reading */

/** Keys of the tools, and which have none. @type {Record<string, string>} */
const KEYS = {
  length: "d", polyline: "Shift+D", angle: "a", cobb: "Shift+A", bidirectional: "b", rectangle: "q", ellipse: "Shift+E", circle: "Shift+C",
  freehand: "Shift+F", probe: "v", arrow: "Shift+W", text: "x",
};

const allowed = (/** @type {Reading} */ { view }) => !!view.drawings?.book.allowed;
const chosen = (/** @type {Reading} */ reading) => allowed(reading) && !!reading.view.drawings?.selected;
const busy = (/** @type {Reading} */ reading) => allowed(reading) && (!!reading.view.drawings?.draft || !!reading.view.drawings?.chosen);
const book = (/** @type {Reading} */ { view }) => /** @type {import("../tools/annotation-book.js").AnnotationBook} */ (view.drawings?.book);

/** @type {Record<string, [number, number]>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @type {import("../components/action-bar.js").Shelf} */
export const measureShelf = { id: "measure", label: "measure", icon: "length" };

/** Before all others: while something is chosen, arrows, the full stop and Esc are about it. @type {Action[]} */
export const measureKeys = [
  {
    id: "annotation-move", label: "help.annotation.move", group: "measure", keysShown: "↑ ↓ ← →", when: chosen,
    keys: Object.keys(WAYS).flatMap((key) => [key, `Shift+${key}`]),
    run: ({ view }, key = "") => {
      const [dx, dy] = WAYS[key.replace("Shift+", "")];
      const far = key.startsWith("Shift+") ? 10 : 1;
      view.drawings?.nudge(dx * far, dy * far);
    },
  },
  { id: "annotation-handle", label: "help.annotation.handle", group: "measure", keys: ["."], when: chosen, run: ({ view }) => view.drawings?.nextHandle() },
  { id: "annotation-leave", label: "measure.leave", group: "measure", keys: ["Escape"], when: busy, run: ({ view }) => view.drawings?.leave() },
];

/** @type {Action[]} */
export const measureActions = [
  ...Object.entries(KINDS).filter(([, kind]) => kind.points).map(([kind, { icon }]) => /** @type {Action} */ ({
    id: kind, label: `kind.${kind}`, icon, group: "measure", shelf: "measure", keys: [KEYS[kind]], hand: kind, when: allowed,
  })),
  { id: "mark", label: "kind.mark", icon: "mark", group: "measure", shelf: "measure", when: allowed, pressed: () => false, run: ({ view }) => view.drawings?.make("mark", []) },
  {
    id: "key-image", label: "kind.key", icon: "key", group: "measure", shelf: "measure", keys: ["k"], when: allowed,
    pressed: ({ view }) => !!view.drawings?.shown.some((one) => one.kind === "key"), run: ({ view }) => view.drawings?.toggleKey(),
  },
  { id: "annotation-undo", label: "measure.undo", group: "measure", keys: ["Ctrl+z"], when: (reading) => allowed(reading) && book(reading).canUndo, run: (reading) => book(reading).undo() },
  { id: "annotation-redo", label: "measure.redo", group: "measure", keys: ["Ctrl+y", "Ctrl+Shift+Z"], when: (reading) => allowed(reading) && book(reading).canRedo, run: (reading) => book(reading).redo() },
  { id: "annotation-delete", label: "measure.delete", group: "measure", keys: ["Delete", "Backspace"], when: chosen, run: ({ view }) => view.drawings?.remove() },
  { id: "annotation-next", label: "help.annotation.select", group: "measure", keys: ["m", "Shift+M"], when: allowed, run: ({ view }, key) => view.drawings?.next(key === "m" ? 1 : -1) },
  {
    id: "annotation-place", label: "help.annotation.place", group: "measure", keys: ["Enter"], when: (reading) => allowed(reading) && reading.view.tool in KINDS,
    run: ({ view }) => view.drawings?.placeInMiddle(view.tool),
  },
];

/** @param {string} kind @returns {import("../tools/hands.js").Hand} */
const hand = (kind) => ({
  cursor: "draw",
  begin: (/** @type {StackView} */ view, at) => {
    view.play(false);
    view.drawings?.begin(kind, view.fromScreen(at));
  },
  drag: (/** @type {StackView} */ view, move) => view.drawings?.drag(view.fromScreen(move)),
  end: (/** @type {StackView} */ view) => view.drawings?.lift(false),
  tap: (/** @type {StackView} */ view) => view.drawings?.lift(true),
  hover: (/** @type {StackView} */ view, at) => view.drawings?.hover(view.fromScreen(at)),
  double: (/** @type {StackView} */ view) => view.drawings?.close(),
  left: (/** @type {StackView} */ view) => {
    if (view.drawings?.draft) view.drawings.leave();
  },
});

addHands("stack", Object.fromEntries(Object.entries(KINDS).filter(([, kind]) => kind.points).map(([kind]) => [kind, hand(kind)])));

/** What is said to those who hear the page. */
const voice = h("div", { class: "unseen", role: "status", "aria-live": "polite", id: "annotation-voice" });

document.addEventListener("said", (event) => {
  if (!voice.isConnected) document.body.append(voice);
  voice.textContent = /** @type {CustomEvent} */ (event).detail;
});
document.addEventListener("words", (event) => {
  const { kind, needed, keep } = /** @type {CustomEvent} */ (event).detail;
  askWords(kind, {}, { needed }, ({ text }) => keep(text));
});
