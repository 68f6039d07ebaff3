// @ts-check
/** A pane whose picture the server makes for exactly this view: drafts while it moves, the full one at rest. */
import { h, perFrame } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { NewestWins, line, motionPlan, picture } from "../net/pictures.js";
import { t } from "../model/language.js";
import { viewKey } from "../tools/stack-reader.js";
import { Pane } from "./pane.js";

const REST_MS = 160;
const AGAIN_MS = 700;
/** A full picture has at most so many pixels along its longer side: rays are dear where no GPU is. */
const MOST_PX = 1024;
const MOST_MOVING_PX = 512;
const FORMATS = { png: "image/png", jpeg: "image/jpeg", webp: "image/webp" };

export class RenderedPane extends Pane {
  /** @type {import("../net/node.js").RenderNode | null} */
  node = null;
  study = "";
  /** @type {import("../model/types.js").SeriesContents | null} */
  series = null;
  format = /** @type {"png" | "jpeg" | "webp"} */ ("png");
  /** @type {{picture: import("../net/pictures.js").Picture, view: any, query: string} | null} */
  shown = null;
  resource = "rendered3d";
  key = viewKey("volume");
  #channel = new NewestWins(2, 600);
  #restTimer = 0;
  #moving = false;

  stop() {
    clearTimeout(this.#restTimer);
    this.#channel.cancel();
  }

  /** @override @param {boolean} first */
  resized(first) {
    this.follow();
    this.written();
    if (first) this.ask();
    else this.move();
  }

  /** The parameters of the view without size and format. @returns {string[]} */
  query() {
    return [];
  }

  /** True while the picture on the screen is not of the view that is asked for. */
  get waiting() {
    return !!this.shown && this.shown.query !== this.query().join("&");
  }

  /** How exact the picture is as an answer to what is asked for now. */
  get exactness() {
    return this.waiting ? "preview" : this.shown?.picture.quality ?? "";
  }

  /** What must be remembered to place this picture later. @returns {any} */
  view() {
    return null;
  }

  /** Place the picture at hand where the wanted view would have it. */
  follow() {}

  /** After a picture came. */
  written() {}

  /** The view moves: a draft now, the full picture when it rests. */
  move = perFrame(() => {
    if (!this.isConnected) return;
    this.#moving = true;
    this.follow();
    this.#fetch(true);
    clearTimeout(this.#restTimer);
    this.#restTimer = window.setTimeout(() => this.ask(), REST_MS);
  });

  /** The full picture. */
  ask() {
    if (!this.isConnected || this.width < 2) return;
    this.#moving = false;
    clearTimeout(this.#restTimer);
    this.#fetch(false);
  }

  /** @param {boolean} draft */
  #path(draft) {
    const ratio = window.devicePixelRatio || 1;
    const scale = Math.min(ratio, (draft ? MOST_MOVING_PX : MOST_PX) / Math.max(this.width, this.height));
    let width = Math.max(32, Math.round(this.width * scale));
    let height = Math.max(32, Math.round(this.height * scale));
    const options = this.query();
    if (draft) {
      const plan = motionPlan(width, height);
      ({ width, height } = plan);
      options.push("accept=image/jpeg", `quality=${plan.quality}`, "draft=yes");
    } else {
      options.push(`accept=${FORMATS[this.format]}`);
      if (this.format !== "png") options.push("quality=90");
    }
    options.push(`viewport=${width},${height}`);
    return `/studies/${this.study}/series/${this.series?.series_uid}/${this.resource}?${options.join("&")}`;
  }

  /** @param {boolean} draft */
  #fetch(draft) {
    const node = /** @type {import("../net/node.js").RenderNode} */ (this.node);
    const path = this.#path(draft);
    const view = this.view();
    const query = this.query().join("&");
    this.working(true, t(this.shown ? "viewer.rendering" : "viewer.volume.loading"));
    this.#channel.ask(
      (signal, slot) => picture(node, path, { signal, viewKey: `${this.key}.${slot}`, keep: !draft, priority: "high" }),
      (found) => {
        this.shown = { picture: found, view, query };
        this.working(false);
        this.paint(found.bitmap);
        this.follow();
        this.dataset.complete = found.complete ? "yes" : "no";
        this.written();
        // Slices are still arriving: the same view will look better in a moment.
        if (!found.complete && !this.#moving) {
          clearTimeout(this.#restTimer);
          this.#restTimer = window.setTimeout(() => this.ask(), AGAIN_MS + line.round_trip_ms);
        }
      },
      (problem) => {
        const again = h("button", { type: "button", class: "quiet", onclick: () => this.ask() }, icon("retry"), t("retry"));
        this.say(problem.message, again);
      },
    );
  }
}
