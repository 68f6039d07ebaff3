// @ts-check
/** Studies of a patient at one institution; each institution stands for itself, so one that is down blocks no other. */
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { asProblem } from "../net/http.js";
import { institutionAt } from "../net/institution.js";
import { uploads } from "../net/uploads.js";
import { date, size, t } from "../model/language.js";
import { routes } from "../model/routes.js";
import { empty, loading, trouble } from "./states.js";
import "./findings.js";

/** @typedef {import("../model/types.js").Study} Study */

const POLL_MS = 3000;

export class InstitutionStudies extends View {
  /** @type {import("../model/types.js").Institution | null} */
  institution = null;
  patientId = "";
  #body = h("div", { class: "studies" });
  #count = h("span", { class: "badge", hidden: true });
  #timer = 0;
  #waits = 0;
  /** Studies whose findings are unfolded. @type {Set<string>} */
  #unfolded = new Set();
  /** Uploads that are listened to. @type {WeakSet<import("../net/uploads.js").Batch>} */
  #heard = new WeakSet();

  start() {
    const institution = /** @type {import("../model/types.js").Institution} */ (this.institution);
    this.className = "institution";
    this.dataset.institution = institution.id;
    fill(this, h("header", {}, h("h3", {}, institution.name), this.#count), this.#body);
    // What was listened to ended when the element last left the page.
    this.#heard = new WeakSet();
    this.load();
    this.listen(uploads, "change", () => this.#watch());
    this.#watch();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #watch() {
    for (const batch of uploads.batches) {
      if (batch.patientId !== this.patientId || batch.institution.id !== this.institution?.id) continue;
      if (this.#heard.has(batch)) continue;
      this.#heard.add(batch);
      this.listen(batch, "change", () => this.dataset.state === "none" && this.#draw([]));
      this.listen(batch, "indexed", () => {
        // The node's notice may reach the institution a moment later: look a few times.
        this.#waits = 10;
        this.load(true);
      });
    }
  }

  /** @param {boolean} [quietly] keep what is shown meanwhile */
  async load(quietly = false) {
    clearTimeout(this.#timer);
    const institution = /** @type {import("../model/types.js").Institution} */ (this.institution);
    if (!quietly) {
      this.dataset.state = "loading";
      fill(this.#body, loading());
    }
    try {
      const { items } = await institutionAt(institution.url).studies(this.patientId, this.signal);
      if (!this.isConnected) return;
      this.#waits -= 1;
      this.#draw(items);
      clearTimeout(this.#timer);
      if (this.#waits > 0 || items.some((study) => !study.complete)) this.#timer = window.setTimeout(() => this.load(true), POLL_MS);
    } catch (error) {
      const problem = asProblem(error);
      if (problem.canceled || !this.isConnected) return;
      this.dataset.state = "down";
      this.#count.hidden = true;
      const sentence = problem.network || problem.status >= 500 ? t("institution.down", { institution: institution.name }) : problem.message;
      fill(this.#body, trouble(sentence, () => this.load()));
    }
  }

  /** How many files of uploads from this page are stored, but not yet seen in a study. */
  get #unseen() {
    const mine = uploads.batches.filter((batch) => batch.patientId === this.patientId && batch.institution.id === this.institution?.id
      && (!batch.finished || (batch.state === "done" && this.#waits > 0)));
    return mine.reduce((sum, batch) => sum + batch.count("stored") + batch.count("duplicate"), 0);
  }

  /** @param {Study[]} items */
  #draw(items) {
    const unseen = items.length ? 0 : this.#unseen;
    const state = JSON.stringify([items, unseen]);
    if (["ready", "none"].includes(this.dataset.state ?? "") && this.#state === state) return;
    this.#state = state;
    this.dataset.state = items.length ? "ready" : "none";
    this.#count.hidden = !items.length;
    this.#count.textContent = String(items.length);
    // A finding being typed must not be torn away by a refresh.
    const typed = new Map([...this.#body.querySelectorAll("article.study")].map((one) => [/** @type {HTMLElement} */ (one).dataset.study, one.querySelector("sivr-findings")]));
    fill(this.#body, items.length ? items.map((study) => this.#study(study, typed.get(study.study_uid) ?? null)) : empty(unseen ? t("studies.indexing", { count: unseen }) : t("studies.none")));
  }

  #state = "";

  /** @param {Study} study @param {Element | null} findings */
  #study(study, findings) {
    const institution = /** @type {import("../model/types.js").Institution} */ (this.institution);
    const counted = h("span", {}, t("finding.count", { count: study.findings_count }));
    const place = h("div", { class: "study-findings", hidden: true });
    const fold = h("button", { type: "button", class: "plain small", "aria-expanded": "false", onclick: () => unfold(place.hidden) }, icon("edit"), counted);
    const unfold = (/** @type {boolean} */ open) => {
      place.hidden = !open;
      fold.setAttribute("aria-expanded", String(open));
      this.#unfolded[open ? "add" : "delete"](study.study_uid);
      if (!open || place.children.length) return;
      const element = /** @type {import("./findings.js").Findings} */ (document.createElement("sivr-findings"));
      element.institution = institutionAt(institution.url);
      element.study = study.study_uid;
      element.addEventListener("count", (event) => (counted.textContent = t("finding.count", { count: /** @type {CustomEvent} */ (event).detail })));
      place.append(element);
    };
    if (findings) place.append(findings);
    if (this.#unfolded.has(study.study_uid)) unfold(true);
    const title = study.description || study.modalities.join(", ") || t("study.untitled");
    return h("article", { class: "study", "data-study": study.study_uid },
      h("a", { class: "study-link", href: routes.study(this.patientId, institution.id, study.study_uid) },
        h("span", { class: "modality" }, study.modalities.join(" ") || "–"),
        h("span", { class: "study-main" },
          h("span", { class: "main" }, title),
          h("span", { class: "hint" }, [date(study.study_date) || t("study.undated"), study.accession_number].filter(Boolean).join(" · "))),
        h("span", { class: "study-size hint" },
          h("span", {}, `${t("series.count", { count: study.series_count })}, ${t("instance.count", { count: study.instance_count })}`),
          h("span", {}, size(study.size_bytes)))),
      h("div", { class: "study-foot" }, !study.complete && h("span", { class: "tag" }, h("span", { class: "spinner" }), t("study.arriving")), fold),
      place);
  }
}
customElements.define("sivr-institution-studies", InstitutionStudies);
