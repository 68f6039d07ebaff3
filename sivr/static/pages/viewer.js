// @ts-check
import { fill, h, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { asProblem } from "../net/http.js";
import { institutionAt } from "../net/institution.js";
import { nodeAt } from "../net/node.js";
import { institutions, patient as fetchPatient } from "../net/toplevel.js";
import { date, t } from "../model/language.js";
import { facts, fullName } from "../model/people.js";
import { routes } from "../model/routes.js";
import { presets } from "../model/windows.js";
import { notice, openDialog } from "../components/dialog.js";
import { METHODS } from "../components/volume-view.js";
import { choice, formatMenu, menu, tool, windowMenu } from "../components/toolbar.js";
import { loading, trouble } from "../components/states.js";
import "../components/findings.js";
import "../components/plane-view.js";
import "../components/series-list.js";
import "../components/stack-view.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../components/stack-view.js").StackView} StackView */
/** @typedef {import("../components/volume-view.js").VolumeView} VolumeView */
/** @typedef {import("../components/plane-view.js").Planes} Planes */

const POLL_MS = 2500;
const TABS = /** @type {const} */ (["2d", "mpr", "3d"]);

/** What a reader chose holds for every study of this visit. */
const habits = {
  format: /** @type {import("../model/formats.js").Format} */ ("auto"),
  tool2d: matchMedia("(pointer: coarse)").matches ? "scroll" : "window",
  method: "volume_rendered",
  preset: "",
};

/** Read a study: its series at the left, the picture in the middle, tools above, the slider below. */
export class ViewerPage extends View {
  /** @type {Record<string, string>} */
  parameters = {};
  /** @type {import("../net/node.js").RenderNode | null} */
  #node = null;
  /** @type {SeriesContents[]} */
  #all = [];
  /** @type {SeriesContents | null} */
  #series = null;
  #tab = /** @type {typeof TABS[number]} */ ("2d");
  /** @type {any[]} */
  #presets = [];
  /** @type {StackView | VolumeView | Planes | null} */
  #view = null;
  /** @type {{tl: string[], tr: string[]}} */
  #texts = { tl: [], tr: [] };
  #timer = 0;
  #bar = h("div", { class: "toolbar", role: "toolbar", "aria-label": t("viewer.tools") });
  #stage = h("div", { class: "stage" });
  #foot = h("div", { class: "viewer-foot" });
  #tabs = h("div", { class: "tabs", role: "tablist" });
  #list = /** @type {import("../components/series-list.js").SeriesList} */ (document.createElement("sivr-series-list"));
  #findings = h("aside", { class: "findings-panel", hidden: true });

  async start() {
    this.className = "viewer";
    document.title = `${t("viewer")} · SIVR`;
    document.body.classList.add("viewing");
    this.listen(document, "keydown", (event) => this.#key(event));
    this.listen(this.#list, "choose", (event) => {
      this.classList.remove("drawer");
      this.#choose(event.detail);
    });
    await this.#load();
  }

  async #load() {
    fill(this, loading(t("viewer.opening")));
    try {
      await this.#open();
    } catch (error) {
      const problem = asProblem(error);
      if (!this.isConnected) return;
      fill(this, h("div", { class: "viewer-head" }, this.#back()), trouble(problem.message, () => this.#load()));
    }
  }

  stop() {
    clearTimeout(this.#timer);
    document.body.classList.remove("viewing");
  }

  #back() {
    return h("a", { class: "plain icon-only button", href: routes.patient(this.parameters.patient), "aria-label": t("back") }, icon("back"));
  }

  async #open() {
    const { patient: patientId, institution: institutionId, study: uid, series } = this.parameters;
    const [patient, all] = await Promise.all([fetchPatient(patientId), institutions()]);
    const found = all.find((one) => one.id === institutionId);
    if (!found) return fill(this, h("div", { class: "viewer-head" }, this.#back()), trouble(t("institution.unknown")));
    const institution = institutionAt(found.url);
    const [study, granted] = await Promise.all([institution.study(uid), institution.grantView(uid)]);
    const node = (this.#node = nodeAt(granted.node.url));
    await node.allow(`view:${uid}`, () => institution.grantView(uid), granted);
    const [contents, named] = await Promise.all([node.contents(uid), node.presets().catch(() => ({ items: [] }))]);
    if (!this.isConnected) return undefined;
    this.#all = contents.series;
    this.#presets = named.items;
    this.#texts = {
      tl: [fullName(patient), facts(patient)],
      tr: [found.name, [study.description, date(study.study_date)].filter(Boolean).join(" · ")],
    };
    Object.assign(this.#list, { node, study: uid, series: this.#all });
    this.#frame(fullName(patient), [study.description || study.modalities.join(" "), date(study.study_date), found.name].filter(Boolean).join(" · "));
    const findings = /** @type {import("../components/findings.js").Findings} */ (document.createElement("sivr-findings"));
    Object.assign(findings, { institution, study: uid });
    fill(this.#findings,
      h("header", {}, h("h2", {}, t("findings")), h("button", { type: "button", class: "plain icon-only", "aria-label": t("close"), onclick: () => this.#toggleFindings() }, icon("close"))),
      findings);
    const first = this.#all.find((one) => one.series_uid === series) ?? this.#all.find((one) => one.renderable) ?? this.#all[0];
    if (first) this.#choose(first.series_uid);
    else this.#say(t("study.empty"));
    this.#watch();
    return undefined;
  }

  /** @param {string} name @param {string} about */
  #frame(name, about) {
    fill(this,
      h("header", { class: "viewer-head" }, this.#back(),
        h("button", { type: "button", class: "plain icon-only only-narrow", "aria-label": t("series"), onclick: () => this.classList.toggle("drawer") }, icon("series")),
        h("div", { class: "viewer-title" }, h("strong", {}, name), h("span", {}, about)),
        this.#tabs,
        h("button", { type: "button", class: "plain button", id: "findings-button", onclick: () => this.#toggleFindings() }, icon("edit"), h("span", {}, t("findings"))),
        h("button", { type: "button", class: "plain icon-only not-narrow", "aria-label": t("keys"), title: `${t("keys")} (?)`, onclick: () => this.#help() }, icon("keyboard"))),
      h("div", { class: "viewer-body" },
        h("div", { class: "series-side" }, this.#list),
        h("div", { class: "shade", onclick: () => this.classList.remove("drawer") }),
        h("div", { class: "viewer-main" }, this.#bar, this.#stage, this.#foot),
        this.#findings));
  }

  #toggleFindings() {
    this.#findings.hidden = !this.#findings.hidden;
    if (!this.#findings.hidden) this.#findings.querySelector("textarea")?.focus();
  }

  /** While files are still being indexed, the list grows. */
  #watch() {
    if (this.#all.every((one) => one.complete)) return;
    this.#timer = window.setTimeout(async () => {
      try {
        const { series } = await /** @type {import("../net/node.js").RenderNode} */ (this.#node).contents(this.parameters.study, this.signal);
        this.#all = series;
        this.#list.series = series;
        this.#list.draw();
        const fresh = series.find((one) => one.series_uid === this.#series?.series_uid);
        if (fresh && fresh.frame_count !== this.#series?.frame_count) this.#choose(fresh.series_uid);
        else if (!this.#series && series.length) this.#choose(series[0].series_uid);
      } catch {
        // The next look may succeed; what is shown stays.
      }
      if (this.isConnected) this.#watch();
    }, POLL_MS);
  }

  /** @param {string} uid */
  #choose(uid) {
    const series = this.#all.find((one) => one.series_uid === uid);
    if (!series) return;
    this.#series = series;
    this.#list.chosen = uid;
    this.#list.draw();
    const { patient, institution, study } = this.parameters;
    history.replaceState(null, "", routes.study(patient, institution, study, uid));
    this.#show(series.volume ? this.#tab : "2d");
  }

  /** @param {string} sentence */
  #say(sentence) {
    this.#view = null;
    fill(this.#bar);
    fill(this.#foot);
    fill(this.#stage, h("div", { class: "pane" }, h("div", { class: "pane-message" }, h("p", {}, sentence))));
  }

  /** @param {typeof TABS[number]} tab */
  #show(tab) {
    const series = this.#series;
    if (!series) return;
    this.#tab = tab;
    this.#drawTabs();
    if (!series.renderable) return this.#say(series.why_not || t("series.unrenderable"));
    const common = { node: this.#node, study: this.parameters.study, series, format: habits.format, texts: this.#texts };
    /** @type {StackView | VolumeView | Planes} */
    let view;
    if (tab === "2d") {
      view = /** @type {StackView} */ (document.createElement("sivr-stack-view"));
      Object.assign(view, common, { tool: series.color && habits.tool2d === "window" ? "scroll" : habits.tool2d });
    } else if (tab === "3d") {
      view = /** @type {VolumeView} */ (document.createElement("sivr-volume-view"));
      const fitting = this.#fittingPresets();
      const preset = fitting.find((one) => one.name === habits.preset) ?? fitting[0];
      Object.assign(view, common, { method: habits.method, preset: preset?.name ?? "" });
    } else {
      view = /** @type {Planes} */ (document.createElement("sivr-planes"));
      Object.assign(view, common);
    }
    this.#view = view;
    view.addEventListener("change", () => this.#update());
    fill(this.#stage, view);
    this.#drawFoot();
    this.#drawBar();
    if (!document.activeElement || document.activeElement === document.body) view.focus({ preventScroll: true });
    return undefined;
  }

  /** Presets that fit the modality, then the others. */
  #fittingPresets() {
    const modality = this.#series?.modality ?? "";
    const fits = (/** @type {any} */ one) => !one.modalities?.length || one.modalities.includes(modality);
    const some = this.#presets.filter(fits);
    return some.length ? some : this.#presets;
  }

  #drawTabs() {
    const series = this.#series;
    const why = series && !series.volume ? t("volume.none", { reason: series.why_no_volume || series.why_not }) : "";
    fill(this.#tabs, TABS.map((tab) => {
      const reason = tab === "2d" ? "" : why;
      return h("button", {
        type: "button", role: "tab", "aria-selected": String(tab === this.#tab), "data-tab": tab, class: reason ? "faint" : "",
        "aria-disabled": reason ? "true" : undefined, title: reason, onclick: () => (reason ? notice(reason, "bad") : this.#show(tab)),
      }, t(`tab.${tab}`));
    }));
  }

  #drawBar() {
    if (this.#bar.querySelector("details[open]")) return;
    const view = this.#view;
    const series = /** @type {SeriesContents} */ (this.#series);
    /** @param {string} id @param {string} sign @param {string} key */
    const hand = (id, sign, key) => tool(sign, t(`tool.${id}`), () => this.#take(id), { pressed: view?.tool === id, key, id });
    const gap = () => h("span", { class: "gap" });
    const format = formatMenu(habits.format, (chosen) => {
      habits.format = chosen;
      view?.setFormat(chosen);
      this.#redraw();
    });
    if (view && this.#is2d(view)) {
      const reader = view.reader;
      fill(this.#bar,
        !series.color && hand("window", "window", "W"), series.frames.length > 1 && hand("scroll", "scroll", "S"), hand("pan", "pan", "P"), hand("zoom", "zoom", "Z"),
        gap(),
        !series.color && windowMenu(series, view.window, (window) => this.#setWindow(window)),
        tool("invert", t("tool.invert"), () => view.invert(), { pressed: !!reader?.inverted, key: "I", id: "invert" }),
        tool("fit", t("tool.fit"), () => view.fit(), { key: "F", id: "fit" }),
        tool("original", t("tool.original"), () => view.original(), { key: "O", id: "original" }),
        tool("turn", t("tool.turn"), () => view.turn(), { key: "T", id: "turn" }),
        tool("flip", t("tool.flip"), () => view.mirror(), { key: "H", id: "flip" }),
        series.frames.length > 1 && tool(view.playing ? "pause" : "play", t(view.playing ? "tool.pause" : "tool.play"), () => view.play(), { pressed: view.playing, key: t("key.space"), id: "play" }),
        tool("reset", t("tool.reset"), () => view.reset(), { key: "R", id: "reset" }),
        h("span", { class: "push" }), format);
    } else if (view && this.#is3d(view)) {
      fill(this.#bar,
        hand("rotate", "rotate", "T"), hand("window", "window", "W"), hand("pan", "pan", "P"), hand("zoom", "zoom", "Z"), gap(),
        menu("settings", t(`method.${view.method}`), METHODS.map((method) => choice(t(`method.${method}`), method === view.method, () => {
          habits.method = method;
          view.setMethod(method);
          this.#redraw();
        }, "", method)), "method"),
        view.method === "volume_rendered" && this.#presets.length
          ? menu("series", this.#presetName(view.preset), this.#fittingPresets().map((one) => choice(this.#presetName(one.name), one.name === view.preset, () => {
            habits.preset = one.name;
            view.setPreset(one.name);
            this.#redraw();
          }, "", one.name)), "preset")
          : windowMenu(series, view.windowNow, (window) => this.#setWindow(window)),
        h("span", { class: "views", role: "group", "aria-label": t("viewer.sides") }, ["a", "p", "r", "l", "h", "f"].map((letter) =>
          h("button", { type: "button", class: "tool side", title: t(`side.${letter}`), "data-side": letter, onclick: () => view.stand(letter) }, letter.toUpperCase()))),
        tool("reset", t("tool.reset"), () => view.reset(), { key: "R", id: "reset" }),
        h("span", { class: "push" }), format);
    } else if (view) {
      fill(this.#bar,
        hand("crosshair", "crosshair", "C"), hand("window", "window", "W"), hand("scroll", "scroll", "S"), hand("pan", "pan", "P"), hand("zoom", "zoom", "Z"), gap(),
        windowMenu(series, /** @type {Planes} */ (view).windowNow, (window) => this.#setWindow(window)),
        tool("reset", t("tool.reset"), () => view.reset(), { key: "R", id: "reset" }),
        h("span", { class: "push" }), format);
    }
  }

  /** Draw the bar although one of its menus is open. */
  #redraw() {
    for (const open of this.#bar.querySelectorAll("details[open]")) open.removeAttribute("open");
    this.#drawBar();
  }

  /** @param {string} name */
  #presetName(name) {
    const key = `preset.${name}`;
    const text = t(key);
    return text === key ? this.#presets.find((one) => one.name === name)?.label ?? name : text;
  }

  /** @param {any} view @returns {view is StackView} */
  #is2d(view) {
    return this.#tab === "2d" && view?.localName === "sivr-stack-view";
  }

  /** @param {any} view @returns {view is VolumeView} */
  #is3d(view) {
    return view?.localName === "sivr-volume-view";
  }

  /** @param {string} id */
  #take(id) {
    if (!this.#view) return;
    this.#view.tool = id;
    if (this.#tab === "2d") habits.tool2d = id;
    this.#drawBar();
  }

  /** @param {import("../model/types.js").Window | null} window */
  #setWindow(window) {
    this.#view?.setWindow(window);
    this.#redraw();
  }

  #slider = h("input", { type: "range", class: "slice-slider", id: "slice", min: 1, step: 1 });
  #place = h("output", { class: "slice-place", for: "slice" });

  #drawFoot() {
    const view = this.#view;
    if (!view || !this.#is2d(view) || (this.#series?.frames.length ?? 0) < 2) return fill(this.#foot);
    const count = this.#series?.frames.length ?? 1;
    this.#slider.max = String(count);
    this.#slider.setAttribute("aria-label", t("viewer.slider"));
    this.#slider.oninput = () => view.go(Number(this.#slider.value) - 1);
    fill(this.#foot, this.#slider, this.#place);
    this.#update();
    return undefined;
  }

  #update() {
    const view = this.#view;
    if (view && this.#is2d(view) && view.reader) {
      const { reader } = view;
      this.#slider.value = String(reader.index + 1);
      setText(this.#place, `${reader.index + 1} / ${reader.count}`);
      this.#slider.setAttribute("aria-valuetext", t("viewer.frame", { index: reader.index + 1, count: reader.count }));
      const button = this.#bar.querySelector("[data-tool=invert]");
      button?.setAttribute("aria-pressed", String(reader.inverted));
      const play = /** @type {HTMLElement | null} */ (this.#bar.querySelector("[data-tool=play]"));
      if (play && play.getAttribute("aria-pressed") !== String(view.playing)) this.#drawBar();
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.closest("input:not([type=range]), textarea, select, dialog, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !this.#view) return;
    if (target.closest("details[open]") && (event.key.startsWith("Arrow") || event.key === " " || event.key === "Enter")) return;
    if (event.key === " " && target.closest("button, summary, a")) return;
    const done = this.#act(event.key, event);
    if (done) event.preventDefault();
  }

  /** @param {string} key @param {KeyboardEvent} event @returns {boolean} whether the key meant something */
  #act(key, event) {
    const view = this.#view;
    const series = this.#series;
    if (!view || !series) return false;
    if (key === "?") {
      this.#help();
      return true;
    }
    if (key === "Escape") {
      this.classList.remove("drawer");
      for (const open of this.querySelectorAll("details[open]")) open.removeAttribute("open");
      return true;
    }
    if (key === "Tab") return false;
    if (key === "[" || key === "]") {
      const at = this.#all.findIndex((one) => one.series_uid === series.series_uid);
      const next = this.#all[at + (key === "]" ? 1 : -1)];
      if (next) this.#choose(next.series_uid);
      return true;
    }
    if (/^[0-9]$/.test(key) && !(this.#is3d(view) && view.method === "volume_rendered")) {
      const preset = presets(series).find((one) => one.key === key);
      if (preset && !series.color) this.#setWindow(key === "0" ? null : preset.window);
      return !!preset;
    }
    const letter = key.toLowerCase();
    /** @type {Record<string, string>} */
    const hands = this.#is3d(view) ? { w: "window", p: "pan", z: "zoom", t: "rotate" }
      : this.#is2d(view) ? { w: "window", s: "scroll", p: "pan", z: "zoom" } : { c: "crosshair", w: "window", s: "scroll", p: "pan", z: "zoom" };
    if (letter in hands) {
      this.#take(hands[letter]);
      return true;
    }
    if (letter === "r") {
      view.reset();
      return true;
    }
    if (this.#is2d(view)) return this.#act2d(view, key);
    if (this.#is3d(view)) return this.#act3d(view, key, event.shiftKey);
    const planes = /** @type {Planes} */ (view);
    const focused = planes.views.find((one) => one.contains(document.activeElement)) ?? planes.views[0];
    /** @type {Record<string, number>} */
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
    if (!(key in steps)) return false;
    focused?.step(steps[key]);
    return true;
  }

  /** @param {StackView} view @param {string} key */
  #act2d(view, key) {
    const reader = /** @type {import("../tools/stack-reader.js").StackReader} */ (view.reader);
    const middle = { x: view.width / 2, y: view.height / 2 };
    /** @type {Record<string, () => void>} */
    const table = {
      ArrowDown: () => view.go(reader.index + 1), ArrowRight: () => view.go(reader.index + 1),
      ArrowUp: () => view.go(reader.index - 1), ArrowLeft: () => view.go(reader.index - 1),
      PageDown: () => view.go(reader.index + 10), PageUp: () => view.go(reader.index - 10),
      Home: () => view.go(0), End: () => view.go(reader.count - 1),
      i: () => view.invert(), f: () => view.fit(), o: () => view.original(), t: () => view.turn(), h: () => view.mirror(),
      "+": () => view.zoomBy(1.25, middle), "=": () => view.zoomBy(1.25, middle), "-": () => view.zoomBy(0.8, middle),
      " ": () => view.play(),
    };
    const work = table[key.length === 1 ? key.toLowerCase() : key];
    work?.();
    return !!work;
  }

  /** @param {VolumeView} view @param {string} key @param {boolean} fine */
  #act3d(view, key, fine) {
    const step = fine ? 2 : 10;
    /** @type {Record<string, () => void>} */
    const table = {
      ArrowLeft: () => view.nudge(-step, 0), ArrowRight: () => view.nudge(step, 0),
      ArrowUp: () => view.nudge(0, -step), ArrowDown: () => view.nudge(0, step),
      "+": () => view.zoomBy(1.2), "=": () => view.zoomBy(1.2), "-": () => view.zoomBy(1 / 1.2),
      a: () => view.stand("a"), l: () => view.stand("l"), h: () => view.stand("h"), f: () => view.stand("f"),
    };
    const work = table[key.length === 1 ? key.toLowerCase() : key];
    work?.();
    return !!work;
  }

  #help() {
    const rows = [
      ["↑ ↓ ← →", "help.arrows"], ["PgUp PgDn Home End", "help.jump"], ["0–9", "help.presets"], ["W S P Z", "help.tools"], ["C", "tool.crosshair"],
      ["I F O T H", "help.pictures"], ["R", "tool.reset"], ["+ −", "viewer.zoom"], ["[ ]", "help.series"], [t("key.space"), "tool.play"],
      [t("help.mouse.left"), "help.mouse.left.does"], [t("help.mouse.right"), "viewer.zoom"], [t("help.mouse.middle"), "tool.pan"], [t("help.mouse.wheel"), "tool.scroll"],
    ];
    openDialog(t("keys"), [h("dl", { class: "keys" }, rows.map(([key, what]) => h("div", {}, h("dt", {}, key), h("dd", {}, t(what)))))]);
  }
}
customElements.define("sivr-viewer-page", ViewerPage);
