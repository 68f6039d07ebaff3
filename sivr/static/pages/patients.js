// @ts-check
import { afterPause, fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { asProblem } from "../net/http.js";
import { session } from "../net/session.js";
import { findPatients } from "../net/toplevel.js";
import { age, date, t } from "../model/language.js";
import { fullName } from "../model/people.js";
import { routes } from "../model/routes.js";
import { editPatient } from "../components/patient-form.js";
import { empty, loading, trouble } from "../components/states.js";

const PAGE = 50;

/** What was searched for, so that "back" finds the same list; in memory only. */
const remembered = { text: "", birth: "" };
session.addEventListener("closed", () => Object.assign(remembered, { text: "", birth: "" }));

/** Find, create and open patients. */
export class PatientsPage extends View {
  #search = h("input", { type: "search", id: "patient-search", autocomplete: "off", spellcheck: "false", enterkeyhint: "search" });
  #birth = h("input", { type: "date", id: "patient-birth", max: "9999-12-31" });
  #found = h("div", { class: "found", "aria-live": "polite" });
  /** @type {AbortController | null} */
  #running = null;
  /** @type {import("../model/types.js").Patient[]} */
  #items = [];

  start() {
    this.className = "page";
    document.title = `${t("nav.patients")} · SIVR`;
    this.#search.value = remembered.text;
    this.#birth.value = remembered.birth;
    this.#search.placeholder = t("patients.search.hint");
    const later = afterPause(180, () => this.#run());
    const soon = () => {
      // At once, because a click may leave the page before the search runs.
      remembered.text = this.#search.value;
      remembered.birth = this.#birth.value;
      later();
    };
    this.listen(this.#search, "input", soon);
    this.listen(this.#birth, "input", soon);
    this.listen(this.#search, "keydown", (event) => {
      const first = /** @type {HTMLAnchorElement | null} */ (this.#found.querySelector("a.row"));
      if (event.key === "Enter" || event.key === "ArrowDown") {
        if (event.key === "Enter" && this.#items.length === 1) first?.click();
        else first?.focus();
        event.preventDefault();
      }
    });
    this.listen(this.#found, "keydown", (event) => this.#arrows(event));
    fill(this,
      h("div", { class: "page-head" }, h("h1", {}, t("nav.patients")),
        h("button", { type: "button", class: "primary", id: "new-patient", onclick: () => this.#create() }, icon("add"), t("patient.create"))),
      h("div", { class: "searchbar", role: "search" },
        h("div", { class: "field grow" }, h("label", { for: "patient-search" }, t("patients.search")), this.#search),
        h("div", { class: "field" }, h("label", { for: "patient-birth" }, t("patient.birth_date")), this.#birth)),
      this.#found);
    this.#run();
    if (matchMedia("(hover: hover)").matches) requestAnimationFrame(() => this.#search.focus());
  }

  stop() {
    this.#running?.abort();
  }

  #create() {
    const words = this.#search.value.trim().split(/\s+/).filter((word) => word && !/\d/.test(word));
    const capital = (/** @type {string} */ word) => word.charAt(0).toUpperCase() + word.slice(1);
    editPatient(null, (saved) => (location.hash = routes.patient(saved.id)), {
      family_name: capital(words[0] ?? ""), given_name: capital(words[1] ?? ""), birth_date: this.#birth.value || null,
    });
  }

  /** @param {number} [offset] */
  async #run(offset = 0) {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    const search = {
      query: this.#search.value.trim(), ...(this.#birth.value ? { birth_date: this.#birth.value } : {}), limit: PAGE, offset,
    };
    if (!this.#items.length && !this.#found.children.length) fill(this.#found, loading());
    this.#found.classList.add("stale");
    try {
      const { items, total } = await findPatients(search, running.signal);
      this.#items = offset ? [...this.#items, ...items] : items;
      this.#draw(total);
    } catch (error) {
      const problem = asProblem(error);
      if (!problem.canceled) fill(this.#found, trouble(problem.message, () => this.#run(offset)));
    } finally {
      if (this.#running === running) this.#found.classList.remove("stale");
    }
  }

  /** @param {number} total */
  #draw(total) {
    if (!this.#items.length) {
      const asked = this.#search.value.trim() || this.#birth.value;
      fill(this.#found, empty(t(asked ? "patients.none" : "patients.nobody"),
        h("button", { type: "button", class: "quiet", onclick: () => this.#create() }, icon("add"), t("patient.create"))));
      return;
    }
    fill(this.#found,
      h("p", { class: "hint count" }, t("patients.count", { count: total })),
      h("div", { class: "rows", role: "group", "aria-label": t("nav.patients") }, this.#items.map((patient) =>
        h("a", { class: "row patient-row", href: routes.patient(patient.id) },
          h("span", { class: "main" }, fullName(patient)),
          h("span", {}, [date(patient.birth_date), age(patient.birth_date)].filter(Boolean).join(" · ")),
          h("span", {}, patient.sex === "U" ? "" : t(`sex.${patient.sex}`)),
          h("span", { class: "number" }, patient.insurance_number)))),
      total > this.#items.length && h("div", { class: "more" },
        h("button", { type: "button", class: "quiet", onclick: () => this.#run(this.#items.length) }, t("more"))));
  }

  /** @param {KeyboardEvent} event */
  #arrows(event) {
    const rows = /** @type {HTMLElement[]} */ ([...this.#found.querySelectorAll("a.row")]);
    const at = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (at < 0 || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    const next = at + (event.key === "ArrowDown" ? 1 : -1);
    (next < 0 ? this.#search : rows[Math.min(next, rows.length - 1)]).focus();
  }
}
customElements.define("sivr-patients-page", PatientsPage);
