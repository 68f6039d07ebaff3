// @ts-check
/**
 * A pane whose picture the server makes for exactly this view: drafts while it moves, the full one at rest, the
 * converged one when it goes on resting.
 */
import { h, perFrame } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { NewestWins, abreast, kept, line, motionPlan, picture, restFormat } from "../net/pictures.js";
import { asProblem } from "../net/http.js";
import { t } from "../model/language.js";
import { viewKey } from "../tools/stack-reader.js";
import { Pane } from "./pane.js";

const REST_MS = 160;
const AGAIN_MS = 700;
const CONVERGE_MS = 400;
/** A full picture has at most so many pixels along its longer side: rays are dear where no GPU is. */
const MOST_PX = 1024;
const MOST_MOVING_PX = 512;
/** What a server without a graphics card spends on a draft. */
const DRAFT_MS = 80;

export class RenderedPane extends Pane {
  /** @type {import("../net/node.js").RenderNode | null} */
  node = null;
  study = "";
  /** @type {import("../model/types.js").SeriesContents | null} */
  series = null;
  format = /** @type {import("../model/formats.js").Format} */ ("auto");
  /** @type {{picture: import("../net/pictures.js").Picture, view: any, query: string} | null} */
  shown = null;
  resource = "rendered3d";
  key = viewKey("volume");
  #channel = new NewestWins(2, 600);
  #restTimer = 0;
  #moving = false;
  #convergeTimer = 0;
  /** @type {AbortController | null} */
  #converging = null;

  stop() {
    clearTimeout(this.#restTimer);
    this.#leave();
    this.#channel.cancel();
  }

  /** Rays per pixel of the converged picture; 1 where there is none. */
  get refine() {
    return 1;
  }

  /** @override @param {boolean} first */
  resized(first) {
    this.follow();
    this.written();
    if (first) this.ask();
    else this.move();
  }

  /** Whether its pictures have colors, which formats weigh otherwise. @returns {"grey" | "color"} */
  get colors() {
    return this.resource === "rendered3d" && !this.query().some((one) => /^renderingmethod=.*_ip$/.test(one)) ? "color" : "grey";
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
    line.moved_ms = performance.now();
    this.#leave();
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
    this.#leave();
    const best = this.refine > 1 ? kept(/** @type {import("../net/node.js").RenderNode} */ (this.node), this.#path(false, this.refine).path) : null;
    if (best) {
      this.#channel.overtake();
      this.#show(best, this.view(), this.query().join("&"));
    } else this.#fetch(false);
  }

  /** No converged picture any more: the view moves, or another one is asked for. */
  #leave() {
    clearTimeout(this.#convergeTimer);
    this.#converging?.abort();
    this.#converging = null;
  }

  /** The view rests: take the picture on the screen further. */
  async #converge() {
    const node = /** @type {import("../net/node.js").RenderNode} */ (this.node);
    const view = this.view();
    const query = this.query().join("&");
    const controller = new AbortController();
    this.#converging = controller;
    try {
      const found = await picture(node, this.#path(false, this.refine).path, { signal: controller.signal, viewKey: `${this.key}.rest`, priority: "low" });
      if (!controller.signal.aborted && found.complete) this.#show(found, view, query);
    } catch (error) {
      // The full picture stays; its badge says what it is.
      if (!asProblem(error).canceled) console.info("no converged picture:", asProblem(error).message);
    } finally {
      if (this.#converging === controller) this.#converging = null;
    }
  }

  /** @param {import("../net/pictures.js").Picture} found @param {any} view @param {string} query */
  #show(found, view, query) {
    this.shown = { picture: found, view, query };
    this.working(false);
    this.paint(found.bitmap);
    this.follow();
    this.dataset.complete = found.complete ? "yes" : "no";
    this.written();
  }

  /** @param {boolean} draft @param {number} [refine] @returns {{path: string, expected_bytes: number}} expected of drafts, by the table of costs */
  #path(draft, refine = 1) {
    const ratio = window.devicePixelRatio || 1;
    const scale = Math.min(ratio, (draft ? MOST_MOVING_PX : MOST_PX) / Math.max(this.width, this.height));
    let width = Math.max(32, Math.round(this.width * scale));
    let height = Math.max(32, Math.round(this.height * scale));
    const options = this.query();
    let expected_bytes = 0;
    if (draft) {
      const plan = motionPlan(width, height, this.colors);
      ({ width, height, expected_bytes } = plan);
      options.push(`accept=${plan.type}`, `quality=${plan.quality}`, "draft=yes");
    } else {
      options.push(...restFormat(this.format, this.colors));
      if (refine > 1) options.push(`refine=${refine}`);
    }
    options.push(`viewport=${width},${height}`);
    return { path: `/studies/${this.study}/series/${this.series?.series_uid}/${this.resource}?${options.join("&")}`, expected_bytes };
  }

  /** @param {boolean} draft */
  #fetch(draft) {
    const node = /** @type {import("../net/node.js").RenderNode} */ (this.node);
    const { path, expected_bytes } = this.#path(draft);
    const { colors } = this;
    // As many as the round trip and the server's work take, or the line would lie idle between two pictures.
    this.#channel.width = abreast(DRAFT_MS);
    const view = this.view();
    const query = this.query().join("&");
    this.working(true, t(this.shown ? "viewer.rendering" : "viewer.volume.loading"));
    this.#channel.ask(
      (signal, slot) => picture(node, path, { signal, viewKey: `${this.key}.${slot}`, keep: !draft, priority: "high" }),
      (found) => {
        if (expected_bytes) line.weighed(colors, found.bytes / expected_bytes);
        this.#show(found, view, query);
        if (this.#moving || draft) return;
        // Slices are still arriving: the same view will look better in a moment.
        if (!found.complete) {
          clearTimeout(this.#restTimer);
          this.#restTimer = window.setTimeout(() => this.ask(), AGAIN_MS + line.round_trip_ms);
        } else if (this.refine > 1 && line.spares(found.bytes)) {
          clearTimeout(this.#convergeTimer);
          this.#convergeTimer = window.setTimeout(() => this.#converge(), CONVERGE_MS);
        }
      },
      (problem) => {
        const again = h("button", { type: "button", class: "quiet", onclick: () => this.ask() }, icon("retry"), t("retry"));
        this.say(problem.message, again);
      },
    );
  }
}
