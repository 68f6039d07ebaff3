// @ts-check
/** A patient's record: typed by physicians, with the newer version offered when two edit at once. */
import { h } from "../lib/dom.js";
import { sexes } from "../model/people.js";
import { t } from "../model/language.js";
import { changePatient, createPatient, patient as fetchPatient } from "../net/toplevel.js";
import { openDialog } from "./dialog.js";
import { changes, form, tell } from "./form.js";

/** @typedef {import("../model/types.js").Patient} Patient */

/**
 * @param {Patient | null} patient null for a new one
 * @param {(saved: Patient) => void} onsaved
 * @param {Partial<Patient>} [suggested]
 */
export function editPatient(patient, onsaved, suggested = {}) {
  const { dialog, close } = openDialog(t(patient ? "patient.edit" : "patient.create"), [], { wide: true });
  const body = /** @type {HTMLElement} */ (dialog.querySelector(".dialog-body"));
  /** @param {Patient | null} base @param {Record<string, any>} values */
  const draw = (base, values) => {
    const element = form({
      fields: [
        { name: "family_name", label: t("patient.family_name"), required: true, autofocus: true },
        { name: "given_name", label: t("patient.given_name") },
        { name: "middle_name", label: t("patient.middle_name") },
        { name: "birth_date", label: t("patient.birth_date"), type: "date" },
        { name: "sex", label: t("patient.sex"), type: "select", options: sexes() },
        { name: "insurance_number", label: t("patient.insurance_number") },
        { name: "insurance_issuer", label: t("patient.insurance_issuer") },
        { name: "phone", label: t("phone"), type: "tel" },
        { name: "email", label: t("email"), type: "email" },
        { name: "address", label: t("address") },
        { name: "notes", label: t("patient.notes"), type: "textarea", rows: 3 },
      ],
      values: { sex: "U", ...values },
      submit: t(base ? "save" : "create"),
      oncancel: close,
      onsubmit: async (typed) => {
        const changed = base ? changes(base, typed) : typed;
        const saved = base ? await changePatient(base.id, { ...changed, version: base.version }) : await createPatient(typed);
        close();
        onsaved(saved);
      },
      onproblem: (problem, place) => {
        // The same number may also be a conflict: only a moved version offers the newer record.
        if (problem.status !== 409 || !base) return false;
        fetchPatient(base.id).then((newer) => {
          if (newer.version === base.version) return tell(place, problem.message);
          const load = () => draw(newer, newer);
          const mine = () => draw(newer, { ...newer, ...changes(base, valuesNow(element)) });
          tell(place, t("patient.conflict"),
            h("button", { type: "button", class: "quiet small", onclick: load }, t("patient.conflict.theirs")),
            h("button", { type: "button", class: "quiet small", onclick: mine }, t("patient.conflict.mine")));
        }).catch(() => tell(place, problem.message));
        tell(place, problem.message);
        return true;
      },
    });
    body.replaceChildren(element);
    /** @type {HTMLElement | null} */ (element.querySelector("[name=family_name]"))?.focus();
  };
  draw(patient, patient ?? suggested);
}

/** @param {HTMLFormElement} element */
function valuesNow(element) {
  const values = /** @type {Record<string, any>} */ (Object.fromEntries(new FormData(element)));
  values.birth_date = values.birth_date || null;
  return values;
}
