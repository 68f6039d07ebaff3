// @ts-check
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { asProblem } from "../net/http.js";
import { institutions, patient as fetchPatient } from "../net/toplevel.js";
import { date, t } from "../model/language.js";
import { facts, fullName } from "../model/people.js";
import { routes } from "../model/routes.js";
import { notice } from "../components/dialog.js";
import { editPatient } from "../components/patient-form.js";
import { empty, loading, trouble } from "../components/states.js";
import "../components/institution-studies.js";
import "../components/upload-panel.js";

/** A patient: facts, studies of all institutions, upload. */
export class PatientPage extends View {
  /** @type {Record<string, string>} */
  parameters = {};
  #head = h("div", { class: "patient-head" });
  #studies = h("section", { class: "all-studies" });
  #upload = h("section", { class: "card" });

  async start() {
    this.className = "page";
    fill(this, loading());
    try {
      const [patient, all] = await Promise.all([fetchPatient(this.parameters.patient), institutions()]);
      if (this.isConnected) this.#draw(patient, all);
    } catch (error) {
      const problem = asProblem(error);
      fill(this, h("a", { href: routes.patients(), class: "back" }, icon("back"), t("nav.patients")),
        trouble(problem.message, problem.status === 404 ? undefined : () => this.start()));
    }
  }

  /** @param {import("../model/types.js").Patient} patient @param {import("../model/types.js").Institution[]} all */
  #draw(patient, all) {
    // The name stays out of the title too: titles end in the browser's history.
    document.title = `${t("patient.title")} · SIVR`;
    this.#drawHead(patient);
    const active = all.filter((one) => one.active);
    fill(this.#studies, h("h2", {}, t("studies")), active.length ? active.map((institution) => {
      const element = /** @type {import("../components/institution-studies.js").InstitutionStudies} */ (document.createElement("sivr-institution-studies"));
      element.institution = institution;
      element.patientId = patient.id;
      return element;
    }) : empty(t("studies.nowhere")));
    const panel = /** @type {import("../components/upload-panel.js").UploadPanel} */ (document.createElement("sivr-upload-panel"));
    panel.institutions = active;
    panel.patient = patient;
    fill(this.#upload, h("h2", {}, t("upload")), panel);
    fill(this, this.#head, h("div", { class: "patient-grid" }, this.#studies, h("aside", {}, this.#upload)));
  }

  /** @param {import("../model/types.js").Patient} patient */
  #drawHead(patient) {
    /** @type {[string, string][]} */
    const rows = [
      [t("patient.birth_date"), date(patient.birth_date)],
      [t("patient.insurance_number"), [patient.insurance_number, patient.insurance_issuer].filter(Boolean).join(" · ")],
      [t("phone"), patient.phone], [t("email"), patient.email], [t("address"), patient.address],
    ];
    const edit = () => editPatient(patient, (saved) => {
      patient = saved;
      this.#drawHead(saved);
      notice(t("saved"));
    });
    fill(this.#head,
      h("a", { href: routes.patients(), class: "back" }, icon("back"), t("nav.patients")),
      h("div", { class: "page-head" },
        h("div", {}, h("h1", {}, fullName(patient)), h("p", { class: "lead" }, facts(patient))),
        h("button", { type: "button", class: "quiet", onclick: edit }, icon("edit"), t("edit"))),
      h("dl", { class: "facts-list wide" }, rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      patient.notes && h("p", { class: "notes" }, patient.notes));
  }
}
customElements.define("sivr-patient-page", PatientPage);
