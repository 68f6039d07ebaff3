// @ts-check
import { fill, h, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { keyOf } from "../lib/keys.js";
import { View } from "../lib/view.js";
import { asProblem } from "../net/http.js";
import { institutionAt } from "../net/institution.js";
import { institutions, patient as fetchPatient } from "../net/toplevel.js";
import "../model/messages/pictures.js";
import "../model/messages/viewer.js";
import "../model/messages/volume.js";
import { t } from "../model/language.js";
import { fullName } from "../model/people.js";
import { routes } from "../model/routes.js";
import { openStudy } from "../tools/open-study.js";
import { keepProtocol, ownProtocols, removeProtocol } from "../tools/hanging.js";
import { fitting, hung } from "../model/hanging.js";
import { notice, openDialog } from "../components/dialog.js";
import { form } from "../components/form.js";
import "../components/cine-bar.js";
import "../components/slider-marks.js";
import { openKeyHelp } from "../components/key-help.js";
import { perform } from "../components/action-bar.js";
import { seriesKey } from "../components/series-list.js";
import { loading, trouble } from "../components/states.js";
import { fittingPresets } from "../actions/volume.js";
import { TABLES, actionOf } from "../actions/tables.js";
import { PANELS } from "../actions/panels.js";

/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */
/** @typedef {import("../tools/open-study.js").OpenStudy} OpenStudy */
/** @typedef {import("../components/cell.js").Cell} Cell */
/** @typedef {import("../components/cell.js").Mode} Mode */
/** @typedef {import("../components/action-bar.js").Reading<any>} Reading */

const POLL_MS = 2500;
const MODES = /** @type {Mode[]} */ (["2d", "mpr", "3d"]);

/** What a reader chose holds for every study of this visit. */
const habits = {
  format: /** @type {import("../model/formats.js").Format} */ ("auto"),
  /** By kind of view. @type {Record<string, string>} */
  tools: { stack: matchMedia("(pointer: coarse)").matches ? "scroll" : "window" },
  method: "volume_rendered",
  preset: "",
  /** What the node offers. @type {any[]} */
  presets: [],
};

/** Read studies: series at the left, cells in the middle, tools above, the slider below, panels at the right. */
export class ViewerPage extends View {
  /** @type {Record<string, string>} */
  parameters = {};
  habits = habits;
  /** The open studies; the first is the one of the address. @type {OpenStudy[]} */
  studies = [];
  workspace = /** @type {import("../components/workspace.js").Workspace} */ (document.createElement("sivr-workspace"));
  #places = /** @type {import("../model/types.js").Institution[]} */ ([]);
  /** Where `others` of the list are kept. @type {import("../model/types.js").Institution[]} */
  #otherPlaces = [];
  #mode = /** @type {Mode} */ ("2d");
  #timer = 0;
  #bar = /** @type {import("../components/action-bar.js").ActionBar} */ (document.createElement("sivr-action-bar"));
  #stage = h("div", { class: "stage" });
  #foot = h("div", { class: "viewer-foot" });
  #tabs = h("div", { class: "tabs", role: "tablist" });
  #list = /** @type {import("../components/series-list.js").SeriesList} */ (document.createElement("sivr-series-list"));
  #panel = h("aside", { class: "side-panel", hidden: true });
  #panelButtons = h("div", { class: "panel-buttons" });
  #panelId = "";
  /** The reader's own hanging protocols. @type {import("../model/hanging.js").Protocol[]} */
  #own = [];

  async start() {
    this.className = "viewer";
    document.title = `${t("viewer")} · SIVR`;
    document.body.classList.add("viewing");
    this.listen(document, "keydown", (event) => this.#key(event));
    this.listen(this.#list, "choose", (event) => {
      this.classList.remove("drawer");
      this.#choose(event.detail);
    });
    this.listen(this.#list, "compare", (event) => this.#compare(event.detail));
    this.listen(this.workspace, "change", () => this.#update());
    for (const event of ["active", "layout"]) this.listen(this.workspace, event, () => this.#follow());
    this.listen(this.workspace, "placed", (event) => {
      this.workspace.activate(event.detail.cell);
      this.#choose(event.detail.key);
    });
    await this.#load();
  }

  stop() {
    clearTimeout(this.#timer);
    document.body.classList.remove("viewing");
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

  #back() {
    return h("a", { class: "plain icon-only button", href: routes.patient(this.parameters.patient), "aria-label": t("back") }, icon("back"));
  }

  async #open() {
    const { patient: patientId, institution: institutionId, study: uid, series } = this.parameters;
    const [patient, all] = await Promise.all([fetchPatient(patientId), institutions()]);
    const found = all.find((one) => one.id === institutionId);
    if (!found) return fill(this, h("div", { class: "viewer-head" }, this.#back()), trouble(t("institution.unknown")));
    this.#places = all;
    const study = await openStudy(found, uid, patient);
    const [named, own] = await Promise.all([study.node.presets().catch(() => ({ items: [] })), ownProtocols().catch(() => [])]);
    if (!this.isConnected) return undefined;
    this.studies = [study];
    habits.presets = named.items;
    this.#own = own;
    this.#list.studies = this.studies;
    this.#frame(fullName(patient), [study.title, found.name].filter(Boolean).join(" · "));
    const first = study.series.find((one) => one.series_uid === series) ?? study.series.find((one) => one.renderable) ?? study.series[0];
    const automatic = series ? null : this.protocols.find((one) => this.own(one) || one.automatic);
    if (automatic && hung(automatic, study.series, []).some(Boolean)) this.hang(automatic);
    else if (first) this.#show(study, first);
    else this.#say(t("study.empty"));
    this.#watch();
    this.#lookForOthers();
    return undefined;
  }

  /** Hanging protocols that fit the study, the best first. */
  get protocols() {
    return fitting(this.#own, this.studies[0]?.series ?? []);
  }

  /** Whether the reader kept it. @param {import("../model/hanging.js").Protocol} protocol */
  own(protocol) {
    return this.#own.includes(protocol);
  }

  /** Hang the series as a protocol says. @param {import("../model/hanging.js").Protocol} protocol */
  hang(protocol) {
    const { workspace } = this;
    const [study, prior] = this.studies;
    const places = hung(protocol, study.series, prior?.series ?? []);
    if (places.every((one) => !one)) return notice(t("hanging.nothing"), "bad");
    workspace.setLayout(...protocol.layout);
    workspace.cells.forEach((cell, at) => {
      const place = protocol.places[at];
      const found = places[at];
      if (!place || !found) return cell.empty();
      const settings = {};
      if (place.window) Object.assign(settings, { window: place.window });
      if (place.method) Object.assign(settings, { method: place.method });
      if (place.preset) Object.assign(settings, { preset: place.preset });
      if (found.index !== null) Object.assign(settings, { begin: found.index });
      this.#show(place.prior ? prior : study, found.series, cell, place.mode, settings);
      return undefined;
    });
    workspace.activate(workspace.cells.find((cell) => cell.series) ?? workspace.cells[0]);
    this.#follow();
    workspace.focusActive();
    return undefined;
  }

  /** Ask for a name and keep the cells as they hang now. */
  keepHanging() {
    const { workspace } = this;
    const lead = workspace.active.series ?? this.studies[0].series[0];
    const what = [lead.modality, lead.body_part, lead.laterality].filter(Boolean).join(" ");
    const editor = form({
      fields: [
        { name: "name", label: t("name"), required: true, autofocus: true },
        { name: "exact", label: t("hanging.only", { what }), type: "check" },
      ],
      values: { name: what, exact: Boolean(lead.body_part) },
      submit: t("save"),
      oncancel: () => close(),
      onsubmit: async (/** @type {any} */ { name, exact }) => {
        const protocol = {
          id: crypto.randomUUID(), name: String(name).slice(0, 80), modality: lead.modality, ...(exact ? { body_part: lead.body_part, laterality: lead.laterality } : {}),
          layout: /** @type {[number, number]} */ ([workspace.rows, workspace.columns]),
          places: workspace.cells.map((cell) => this.#placeOf(cell)),
        };
        this.#own = await keepProtocol(protocol);
        close();
        notice(t("saved"));
        this.refresh();
      },
    });
    const { close } = openDialog(t("hanging.keep"), [h("p", { class: "hint" }, t("hanging.why")), editor]);
  }

  /** How a cell hangs, so that it fits other studies of the kind. @param {Cell} cell @returns {import("../model/hanging.js").Place} */
  #placeOf(cell) {
    const { series, study, mode } = cell;
    if (!series || !study) return { mode: "2d", modality: "NONE" };
    const view = /** @type {any} */ (cell.view);
    const alike = study.series.filter((one) => one.modality === series.modality && one.renderable);
    const side = view?.kind === "stack" ? series.frames[view.reader?.index ?? 0]?.side : "";
    return {
      mode, modality: series.modality, description: series.description, order: Math.max(alike.indexOf(series), 0), prior: study !== this.studies[0],
      ...(side ? { side } : {}), window: view?.kind === "stack" ? view.reader?.window ?? null : view?.window ?? null,
      ...(view?.kind === "volume" ? { method: view.method, preset: view.preset } : {}),
    };
  }

  /** @param {import("../model/hanging.js").Protocol} protocol */
  async forgetHanging(protocol) {
    try {
      this.#own = await removeProtocol(protocol.id);
      this.refresh();
    } catch (error) {
      notice(asProblem(error).message, "bad");
    }
  }

  /** @param {string} name @param {string} about */
  #frame(name, about) {
    fill(this,
      h("header", { class: "viewer-head" }, this.#back(),
        h("button", { type: "button", class: "plain icon-only only-narrow", "aria-label": t("series"), onclick: () => this.classList.toggle("drawer") }, icon("series")),
        h("div", { class: "viewer-title" }, h("h1", {}, name), h("span", {}, about)),
        this.#tabs, this.#panelButtons,
        h("button", { type: "button", class: "plain icon-only not-narrow", "aria-label": t("keys"), title: `${t("keys")} (?)`, onclick: () => this.help() }, icon("keyboard"))),
      h("div", { class: "viewer-body" },
        h("div", { class: "series-side" }, this.#list),
        h("div", { class: "shade", onclick: () => this.classList.remove("drawer") }),
        h("div", { class: "viewer-main" }, this.#bar, this.#stage, this.#foot),
        this.#panel));
    fill(this.#stage, this.workspace);
    this.#drawPanelButtons();
  }

  /** The patient's studies that could be compared with this one; an institution that is down offers none. */
  async #lookForOthers() {
    const open = new Set(this.studies.map((one) => one.uid));
    const found = await Promise.all(this.#places.map(async (place) => {
      const { items } = await institutionAt(place.url).studies(this.parameters.patient, this.signal).catch(() => ({ items: [] }));
      return items.filter((study) => !open.has(study.study_uid)).map((study) => ({ place, study }));
    }));
    if (!this.isConnected) return;
    const all = found.flat().sort((a, b) => (b.study.study_date ?? "").localeCompare(a.study.study_date ?? ""));
    this.#list.others = all.map((one) => one.study);
    this.#otherPlaces = all.map((one) => one.place);
    this.#list.draw();
  }

  /** Open another study of the patient beside the first. @param {number} index */
  async #compare(index) {
    const study = this.#list.others?.[index];
    if (!study || this.studies.some((one) => one.uid === study.study_uid)) return;
    try {
      const opened = await openStudy(this.#otherPlaces[index], study.study_uid, this.studies[0].patient);
      if (!this.isConnected) return;
      this.studies.push(opened);
      this.#list.others = (this.#list.others ?? []).filter((one) => one !== study);
      this.#otherPlaces.splice(index, 1);
      const { workspace } = this;
      if (workspace.cells.length < 2) workspace.setLayout(1, 2);
      const free = workspace.cells.find((cell) => !cell.series) ?? workspace.cells[workspace.cells.length - 1];
      const alike = this.#alike(opened);
      workspace.activate(free);
      if (alike) this.#show(opened, alike);
      else this.#list.draw();
    } catch (error) {
      notice(asProblem(error).message, "bad");
    }
  }

  /** The series of another study that is most like the one that is read. @param {OpenStudy} other */
  #alike(other) {
    const now = this.workspace.cells.find((cell) => cell.series)?.series;
    const like = (/** @type {SeriesContents} */ one) => Number(one.renderable) * 8 + Number(one.modality === now?.modality) * 4
      + Number(!!one.volume === !!now?.volume) * 2 + Number(one.description === now?.description);
    return [...other.series].sort((a, b) => like(b) - like(a))[0];
  }

  /** While files are still being indexed, the list grows. */
  #watch() {
    if (this.studies.every((study) => study.series.every((one) => one.complete))) return;
    this.#timer = window.setTimeout(async () => {
      for (const study of this.studies) {
        try {
          const { series } = await study.node.contents(study.uid, this.signal);
          study.series = series;
          for (const cell of this.workspace.cells.filter((one) => one.study === study)) {
            const fresh = series.find((one) => one.series_uid === cell.series?.series_uid);
            if (fresh && fresh.frame_count !== cell.series?.frame_count) this.#show(study, fresh, cell);
          }
          if (!this.workspace.active.series && series.length) this.#show(study, series[0]);
        } catch {
          // The next look may succeed; what is shown stays.
        }
      }
      this.#list.draw();
      if (this.isConnected) this.#watch();
    }, POLL_MS);
  }

  /** @param {string} key of a series */
  #choose(key) {
    for (const study of this.studies) {
      const series = study.series.find((one) => seriesKey(study.uid, one.series_uid) === key);
      if (series) this.#show(study, series);
    }
  }

  /** @param {string} sentence */
  #say(sentence) {
    this.#bar.clear();
    fill(this.#foot);
    this.workspace.active.say(sentence);
  }

  /**
   * @param {OpenStudy} study @param {SeriesContents} series @param {Cell} [cell] @param {Mode} [mode]
   * @param {Record<string, any>} [more] settings of the view
   */
  #show(study, series, cell = this.workspace.active, mode = this.#mode, more = {}) {
    cell.show(study, series, mode, { ...this.#settings(series, series.volume ? mode : "2d"), ...more });
    if (cell === this.workspace.active) {
      const { patient, institution, study: first } = this.parameters;
      if (study.uid === first) history.replaceState(null, "", routes.study(patient, institution, study.uid, series.series_uid));
      this.#follow();
      if (!document.activeElement || document.activeElement === document.body) this.workspace.focusActive();
    } else this.#drawList();
  }

  /** What a new view begins with. @param {SeriesContents} series @param {Mode} mode @returns {Record<string, any>} */
  #settings(series, mode) {
    const { format, tools, method, preset } = habits;
    if (mode === "2d") {
      const hand = tools.stack ?? "window";
      return { format, tool: series.color && hand === "window" ? "scroll" : hand };
    }
    if (mode === "mpr") return { format, tool: tools.planes ?? "crosshair", at: this.#pickedIn(series) };
    const fitting = fittingPresets(series, habits.presets);
    return { format, tool: tools.volume ?? "rotate", method, presets: habits.presets, preset: (fitting.find((one) => one.name === preset) ?? fitting[0])?.name ?? "" };
  }

  /** The point that was picked, where it lies in the volume of a series. @param {SeriesContents} series */
  #pickedIn(series) {
    const { point } = this.workspace;
    const { volume } = series;
    if (!point || !volume || !point.reference || point.reference !== series.frame_of_reference_uid) return null;
    return point.lps.every((one, axis) => Math.abs(one - volume.center[axis]) <= volume.extent_mm[axis] / 2) ? point.lps : null;
  }

  /** The active cell is another one, or shows something else. */
  #follow() {
    const { active } = this.workspace;
    if (active.series) this.#mode = active.mode;
    this.#drawTabs();
    this.#drawList();
    this.#drawFoot();
    if (this.reading) this.refresh();
    else this.#bar.clear();
  }

  #drawList() {
    const key = (/** @type {Cell} */ cell) => (cell.study && cell.series ? seriesKey(cell.study.uid, cell.series.series_uid) : "");
    this.#list.chosen = key(this.workspace.active);
    this.#list.shown = new Set(this.workspace.cells.map(key));
    this.#list.draw();
  }

  /** What actions work on; null while the active cell shows no picture. @returns {Reading | null} */
  get reading() {
    const { active } = this.workspace;
    if (!active.view || !active.series) return null;
    return { view: active.view, cell: active, series: active.series, workspace: this.workspace, page: this };
  }

  /** Look at every action again, menus closed. */
  refresh() {
    for (const open of this.#bar.querySelectorAll("details[open]")) open.removeAttribute("open");
    this.#drawBar(true);
  }

  /** @param {boolean} [anyway] */
  #drawBar(anyway = false) {
    const { reading } = this;
    if (!reading) return;
    const table = TABLES[/** @type {import("../tools/hands.js").Kind} */ (reading.view.kind)];
    this.#bar.draw(table.actions, table.shelves, reading, anyway);
  }

  #drawTabs() {
    const { series } = this.workspace.active;
    const why = series && !series.volume ? t("volume.none", { reason: series.why_no_volume || series.why_not }) : "";
    fill(this.#tabs, MODES.map((mode) => {
      const reason = mode === "2d" ? "" : why;
      return h("button", {
        type: "button", role: "tab", "aria-selected": String(mode === this.#mode && !(reason && mode !== "2d")), "data-tab": mode, class: reason ? "faint" : "",
        "aria-disabled": reason ? "true" : undefined, title: reason, onclick: () => (reason ? notice(reason, "bad") : this.setMode(mode)),
      }, t(`tab.${mode}`));
    }));
  }

  /** Read the active cell's series in another way. @param {Mode} mode */
  setMode(mode) {
    const { study, series } = this.workspace.active;
    this.#mode = mode;
    if (study && series) this.#show(study, series);
  }

  /** The series before or after this one. @param {1 | -1} step */
  stepSeries(step) {
    const { study, series } = this.workspace.active;
    if (!study || !series) return;
    const next = study.series[study.series.findIndex((one) => one.series_uid === series.series_uid) + step];
    if (next) this.#show(study, next);
  }

  #slider = h("input", { type: "range", class: "slice-slider", id: "slice", min: 1, step: 1 });
  #place = h("output", { class: "slice-place", for: "slice" });

  #drawFoot() {
    const { view, series } = this.workspace.active;
    if (view?.kind !== "stack" || (series?.frames.length ?? 0) < 2) return fill(this.#foot);
    this.#slider.max = String(series?.frames.length ?? 1);
    this.#slider.setAttribute("aria-label", t("viewer.slider"));
    this.#slider.oninput = () => view.go(Number(this.#slider.value) - 1);
    const marks = Object.assign(document.createElement("sivr-slider-marks"), { view });
    fill(this.#foot, h("div", { class: "slice-line" }, this.#slider, marks), this.#place, Object.assign(document.createElement("sivr-cine-bar"), { view }));
    this.#update();
    return undefined;
  }

  #update() {
    const { view } = this.workspace.active;
    if (view?.kind === "stack" && view.reader) {
      const { reader } = view;
      this.#slider.value = String(reader.index + 1);
      setText(this.#place, `${reader.index + 1} / ${reader.count}`);
      this.#slider.setAttribute("aria-valuetext", t("viewer.frame", { index: reader.index + 1, count: reader.count }));
      const play = this.#bar.querySelector("[data-tool=play], [data-tool=pause]");
      const invert = this.#bar.querySelector("[data-tool=invert]");
      invert?.setAttribute("aria-pressed", String(reader.inverted));
      if (play && (play.getAttribute("data-tool") === "pause") !== view.playing) this.#drawBar();
    } else if (view?.kind === "planes" && view.offers !== this.#offered) {
      this.#offered = view.offers;
      this.#drawBar();
    }
  }

  /** What the planes had to offer when the bar was drawn last. */
  #offered = "";

  #drawPanelButtons() {
    fill(this.#panelButtons, Object.entries(PANELS).filter(([, panel]) => !panel.curious).map(([id, panel]) =>
      h("button", {
        type: "button", class: "plain button", id: `${id}-button`, "aria-pressed": String(this.#panelId === id), title: t(panel.label),
        onclick: () => this.togglePanel(id),
      }, icon(panel.icon), h("span", {}, t(panel.label)))));
  }

  /** @param {string} id */
  panelOpen(id) {
    return this.#panelId === id;
  }

  /** @param {string} id */
  togglePanel(id) {
    const panel = PANELS[id];
    this.#panelId = this.#panelId === id ? "" : id;
    this.#panel.hidden = !this.#panelId;
    this.#drawPanelButtons();
    if (!this.#panelId || !panel) {
      fill(this.#panel);
      return;
    }
    fill(this.#panel,
      h("header", {}, h("h2", {}, t(panel.label)), h("button", { type: "button", class: "plain icon-only", "aria-label": t("close"), onclick: () => this.togglePanel(id) }, icon("close"))),
      panel.draw(this));
    /** @type {HTMLElement | null} */ (this.#panel.querySelector("[autofocus], textarea"))?.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const key = keyOf(event);
    const opened = key === "Escape" && !target.closest("dialog") && target.closest("details[open]");
    if (opened) {
      opened.removeAttribute("open");
      opened.querySelector("summary")?.focus();
    }
    if (target.closest("input:not([type=range], [type=checkbox]), textarea, select, dialog, [contenteditable]") || event.defaultPrevented) return;
    if (key === "Escape") {
      this.classList.remove("drawer");
      for (const open of this.querySelectorAll("details[open]")) open.removeAttribute("open");
    }
    const { reading } = this;
    if (!reading) return;
    if (target.closest("details[open]") && (key.startsWith("Arrow") || key === " " || key === "Enter")) return;
    if (key === " " && target.closest("button, summary, a, input[type=checkbox]")) return;
    if (target.matches("input[type=range]") && target !== this.#slider && /^(Shift\+)?(Arrow|Page|Home|End)/.test(key)) return;
    const action = actionOf(key, reading);
    if (!action) return;
    event.preventDefault();
    perform(action, reading, key);
  }

  help() {
    openKeyHelp(/** @type {[string, any[]][]} */ ([
      [t("tab.2d"), TABLES.stack.actions], [t("tab.mpr"), TABLES.planes.actions], [t("tab.3d"), TABLES.volume.actions],
    ]));
  }
}
customElements.define("sivr-viewer-page", ViewerPage);
