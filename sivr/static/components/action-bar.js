// @ts-check
/** A toolbar made from a table of actions. */
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { keyShown } from "../lib/keys.js";
import { View } from "../lib/view.js";
import { t } from "../model/language.js";
import { tool } from "./toolbar.js";

/**
 * What an action works on: the active cell and what is around it.
 * @template V
 * @typedef {object} Reading
 * @property {V} view of the active cell
 * @property {import("./cell.js").Cell} cell
 * @property {import("../model/types.js").SeriesContents} series
 * @property {import("./workspace.js").Workspace} workspace
 * @property {Page} page
 */
/**
 * What actions may ask of the page.
 * @typedef {object} Page
 * @property {() => void} refresh look at every action again
 * @property {(id: string) => void} togglePanel open or close a panel at the side
 * @property {(id: string) => boolean} panelOpen
 * @property {(mode: "2d" | "mpr" | "3d") => void} setMode
 * @property {(step: 1 | -1) => void} stepSeries
 * @property {() => void} help
 * @property {import("../model/hanging.js").Protocol[]} protocols that fit the study
 * @property {(protocol: import("../model/hanging.js").Protocol) => boolean} own whether the reader kept it
 * @property {(protocol: import("../model/hanging.js").Protocol) => void} hang
 * @property {(protocol: import("../model/hanging.js").Protocol) => void} forgetHanging
 * @property {() => void} keepHanging
 * @property {Record<string, any>} habits what the reader chose, for every series of this visit
 * @property {import("../tools/open-study.js").OpenStudy[]} studies
 */
/**
 * One thing a reader can do. The toolbar, the keyboard and the help sheet are made from these alone.
 * @template V
 * @typedef {object} Action
 * @property {string} id
 * @property {string} label key of the sentence that names it
 * @property {string} group things of one group stand together; in the help sheet too
 * @property {string} [icon] without one it has no button
 * @property {string} [shelf] the menu it stands in rather than in the bar itself
 * @property {string[]} [keys] as keyOf writes them
 * @property {string} [keysShown] for the help sheet, where there are too many keys
 * @property {string} [hand] the tool it gives into the hand
 * @property {(reading: Reading<V>) => boolean} [when] left out where false
 * @property {(reading: Reading<V>) => boolean} [pressed]
 * @property {(reading: Reading<V>, key?: string) => void} [run]
 * @property {(reading: Reading<V>) => Node | null} [draw] its own element in place of a button
 * @property {boolean} [right] at the right end of the bar
 */
/** @typedef {{id: string, label: string, icon: string}} Shelf */

/** @param {Action<any>} action @param {Reading<any>} reading */
export const possible = (action, reading) => !action.when || action.when(reading);

/** @param {Action<any>} action @param {Reading<any>} reading @param {string} [key] */
export function perform(action, reading, key) {
  if (action.hand) {
    reading.view.tool = action.hand;
    reading.page.habits.tools[reading.view.kind] = action.hand;
    reading.page.refresh();
  }
  action.run?.(reading, key);
}

/** @param {Action<any>} action @param {Reading<any>} reading @returns {boolean | undefined} */
const pressed = (action, reading) => (action.hand ? reading.view.tool === action.hand : action.pressed?.(reading));

export class ActionBar extends View {
  /** @type {Reading<any> | null} */
  #reading = null;

  start() {
    this.classList.add("toolbar");
    this.setAttribute("role", "toolbar");
    this.setAttribute("aria-label", t("viewer.tools"));
  }

  clear() {
    this.#reading = null;
    fill(this);
  }

  /**
   * @param {Action<any>[]} actions @param {Shelf[]} shelves @param {Reading<any>} reading
   * @param {boolean} [anyway] although one of its menus is open
   */
  draw(actions, shelves, reading, anyway = false) {
    if (!anyway && this.querySelector("details[open]") && this.#reading?.view === reading.view) return;
    const focused = /** @type {HTMLElement | null} */ (this.contains(document.activeElement) ? document.activeElement : null)?.dataset.tool;
    this.#reading = reading;
    const shown = actions.filter((action) => (action.icon || action.draw) && possible(action, reading));
    const left = this.#groups(shown.filter((action) => !action.right), shelves, reading);
    fill(this, left, h("span", { class: "push" }), shown.filter((action) => action.right).map((action) => this.#one(action, reading)));
    if (focused) /** @type {HTMLElement | null} */ (this.querySelector(`[data-tool="${focused}"]`))?.focus({ preventScroll: true });
  }

  /** @param {Action<any>[]} actions @param {Shelf[]} shelves @param {Reading<any>} reading */
  #groups(actions, shelves, reading) {
    /** @type {(Node | null)[]} */
    const made = [];
    const done = new Set();
    let group = "";
    for (const action of actions) {
      const shelf = shelves.find((one) => one.id === action.shelf);
      if (shelf && done.has(shelf.id)) continue;
      if (group && group !== action.group && !shelf) made.push(h("span", { class: "gap" }));
      group = action.group;
      if (shelf) {
        done.add(shelf.id);
        made.push(this.#shelf(shelf, actions.filter((one) => one.shelf === shelf.id), reading));
      } else made.push(this.#one(action, reading));
    }
    return made;
  }

  /** @param {Action<any>} action @param {Reading<any>} reading */
  #one(action, reading) {
    if (action.draw) return action.draw(reading);
    return tool(/** @type {string} */ (action.icon), t(action.label), () => perform(action, reading), {
      pressed: pressed(action, reading), key: action.keys?.[0] && keyShown(action.keys[0], t("key.space")), id: action.id,
    });
  }

  /** @param {Shelf} shelf @param {Action<any>[]} actions @param {Reading<any>} reading */
  #shelf(shelf, actions, reading) {
    const taken = actions.find((action) => action.hand && pressed(action, reading));
    return h("details", { class: "menu tool-menu", "data-menu": shelf.id },
      h("summary", { class: taken ? "tool taken" : "tool", title: t(shelf.label) }, icon(taken?.icon ?? shelf.icon), h("span", {}, t(taken?.label ?? shelf.label))),
      h("div", { class: "sheet" }, actions.map((action) => (action.draw ? action.draw(reading) : this.#item(action, reading)))));
  }

  /** @param {Action<any>} action @param {Reading<any>} reading */
  #item(action, reading) {
    const on = pressed(action, reading);
    return h("button", {
      type: "button", class: "plain choice", "data-tool": action.id, "aria-pressed": on === undefined ? undefined : String(on),
      onclick: () => perform(action, reading),
    }, h("span", { class: "choice-name" }, icon(/** @type {string} */ (action.icon)), t(action.label)), action.keys?.[0] && h("kbd", {}, keyShown(action.keys[0], t("key.space"))));
  }
}
customElements.define("sivr-action-bar", ActionBar);
