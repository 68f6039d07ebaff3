// @ts-check
/** What the left drag does to a volume: turn, move, cut, point at. */
import { addHands } from "./hands.js";

/** @typedef {any} VolumeView */

const NEAR_PX = 26;

addHands("volume", {
  rotate: { drag: (view, move) => view.turn([move.x - move.dx, move.y - move.dy], [move.x, move.y]) },
  zoom: { drag: (view, move) => view.zoomBy(Math.exp(-move.dy / 150)) },
  pan: { drag: (view, move) => view.panBy(move.dx, move.dy) },
  window: {
    begin: (view) => {
      view.grabbed = view.windowNow;
    },
    drag: (view, move) => {
      if (!view.grabbed) return;
      view.window = view.windowed(view.grabbed, move.x - move.fromX, move.y - move.fromY);
      view.moved();
    },
  },
  crop: {
    cursor: "crop",
    begin: (view, at) => {
      const near = view.handles().map((/** @type {any} */ one) => ({ one, away: Math.hypot(one.x - at.x, one.y - at.y) })).sort((/** @type {any} */ a, /** @type {any} */ b) => a.away - b.away)[0];
      view.held = near && near.away < NEAR_PX ? near.one : null;
    },
    drag: (view, move) => {
      if (!view.held) {
        view.turn([move.x - move.dx, move.y - move.dy], [move.x, move.y]);
        return;
      }
      const { axis, end, along } = view.held;
      const square = along.x ** 2 + along.y ** 2;
      if (square > 1e-3) view.cropBy(axis, end, (move.dx * along.x + move.dy * along.y) / square);
    },
    end: (view) => {
      view.held = null;
    },
  },
  lasso: {
    cursor: "lasso",
    begin: (view, at) => {
      view.drawing = [at];
    },
    drag: (view, move) => {
      view.drawing.push({ x: move.x, y: move.y });
      view.drawOver();
    },
    end: (view) => view.cutOut(),
  },
  pick: { cursor: "pick", tap: (view, at) => view.pickAt(at, false), drag: (view, move) => view.turn([move.x - move.dx, move.y - move.dy], [move.x, move.y]) },
  measure: { cursor: "pick", tap: (view, at) => view.pickAt(at, true), drag: (view, move) => view.turn([move.x - move.dx, move.y - move.dy], [move.x, move.y]) },
});
