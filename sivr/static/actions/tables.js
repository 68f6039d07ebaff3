// @ts-check
/** Every action, by the kind of view; which key means which. */
import { possible } from "../components/action-bar.js";
import { planesActions, planesShelves } from "./planes.js";
import { stackActions, stackShelves } from "./stack.js";
import { volumeActions, volumeShelves } from "./volume.js";

/** @typedef {import("../components/action-bar.js").Action<any>} Action */
/** @typedef {import("../components/action-bar.js").Shelf} Shelf */

/** @type {Record<import("../tools/hands.js").Kind, {actions: Action[], shelves: Shelf[]}>} */
export const TABLES = {
  stack: { actions: stackActions, shelves: stackShelves },
  planes: { actions: planesActions, shelves: planesShelves },
  volume: { actions: volumeActions, shelves: volumeShelves },
};

/**
 * The action of a key, where it can be done now.
 * @param {string} key as keyOf writes it @param {import("../components/action-bar.js").Reading<any>} reading
 * @returns {Action | undefined}
 */
export const actionOf = (key, reading) =>
  TABLES[/** @type {import("../tools/hands.js").Kind} */ (reading.view.kind)].actions.find((action) => action.keys?.includes(key) && possible(action, reading));
