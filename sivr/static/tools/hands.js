// @ts-check
/**
 * What the left drag, a tap and the moving mouse do in a view, by the tool that was taken: one entry of a table each.
 * Points are CSS px within the view; `view.fromScreen(at)` tells where that is in the frame or the patient.
 */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {import("./gestures.js").Move} Move */
/** @typedef {"stack" | "planes" | "volume"} Kind */
/**
 * @typedef {object} Hand
 * @property {(view: any, at: Point) => void} [begin] the button or finger went down
 * @property {(view: any, move: Move) => void} [drag]
 * @property {(view: any) => void} [end] after a drag, also one that a second finger ended
 * @property {(view: any, at: Point) => void} [tap] down and up at one place; comes after end
 * @property {(view: any, at: Point) => void} [hover] the mouse moves without a button
 * @property {(view: any, at: Point) => void} [double]
 * @property {(view: any) => void} [taken] the tool was chosen
 * @property {(view: any) => void} [left] another tool was chosen
 * @property {string} [cursor] a value of the data-hand attribute that styles know
 */

/** @type {Record<Kind, Record<string, Hand>>} */
const TABLE = { stack: {}, planes: {}, volume: {} };

/** @param {Kind} kind @param {Record<string, Hand>} hands by tool */
export function addHands(kind, hands) {
  Object.assign(TABLE[kind], hands);
}

/** @param {Kind} kind @param {string} tool @returns {Hand | undefined} */
export const handOf = (kind, tool) => TABLE[kind][tool];

/**
 * Handlers of gestures that hand over to the table.
 * @param {any} view with `tool` @param {Kind} kind
 * @param {(at: Point) => void} [double] where the hand has no use for a double click
 */
export function byHands(view, kind, double) {
  const of = (/** @type {string} */ tool) => handOf(kind, tool);
  return {
    tool: () => /** @type {string} */ (view.tool),
    begin: (/** @type {string} */ tool, /** @type {Point} */ at) => {
      view.dataset.grabbed = tool;
      of(tool)?.begin?.(view, at);
    },
    drag: (/** @type {string} */ tool, /** @type {Move} */ move) => of(tool)?.drag?.(view, move),
    end: (/** @type {string} */ tool) => {
      delete view.dataset.grabbed;
      of(tool)?.end?.(view);
    },
    tap: (/** @type {string} */ tool, /** @type {Point} */ at) => of(tool)?.tap?.(view, at),
    hover: (/** @type {Point} */ at) => of(view.tool)?.hover?.(view, at),
    double: (/** @type {Point} */ at) => {
      const hand = of(view.tool);
      if (hand?.double) hand.double(view, at);
      else double?.(at);
    },
  };
}

/** A view was given another tool. @param {any} view @param {Kind} kind @param {string} before @param {string} now */
export function handOver(view, kind, before, now) {
  if (before === now) return;
  handOf(kind, before)?.left?.(view);
  view.dataset.hand = handOf(kind, now)?.cursor ?? now;
  handOf(kind, now)?.taken?.(view);
}
