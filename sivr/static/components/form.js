// @ts-check
/** Forms from a description, with the server's sentence where something is refused. */
import { h, fill, uniqueId } from "../lib/dom.js";
import { asProblem } from "../net/http.js";
import { t } from "../model/language.js";
import { icon } from "../lib/icons.js";

/**
 * @typedef {object} Field
 * @property {string} name @property {string} label @property {string} [type] text, password, email, tel, date, url, textarea, select,
 *   checks, check, list (comma separated)
 * @property {boolean} [required] @property {string} [hint] @property {[string, string][]} [options] value and label
 * @property {string} [autocomplete] @property {boolean} [wide] @property {boolean} [disabled] @property {number} [rows]
 * @property {string} [inputmode] @property {string} [pattern] @property {boolean} [autofocus] @property {number} [minlength]
 */

/** @param {Field} field @param {any} value */
function control(field, value) {
  const id = uniqueId("field");
  const common = {
    id, name: field.name, required: field.required, disabled: field.disabled, autofocus: field.autofocus,
    "aria-describedby": field.hint ? `${id}-hint` : undefined,
  };
  const hint = field.hint ? h("span", { class: "hint", id: `${id}-hint` }, field.hint) : null;
  const box = `field${field.wide || field.type === "textarea" ? " whole" : ""}`;
  if (field.type === "check") {
    return h("div", { class: `${box} one-check` },
      h("label", { class: "check" }, h("input", { ...common, type: "checkbox", checked: !!value }), h("span", {}, field.label)), hint);
  }
  if (field.type === "checks") {
    const chosen = new Set(value ?? []);
    return h("fieldset", { class: `${box} checks` }, h("legend", {}, field.label),
      (field.options ?? []).map(([key, label]) => h("label", { class: "check" },
        h("input", { type: "checkbox", name: field.name, value: key, checked: chosen.has(key) }), h("span", {}, label))),
      !field.options?.length && h("span", { class: "hint" }, t("none")), hint);
  }
  /** @type {HTMLElement} */
  let input;
  if (field.type === "textarea") input = h("textarea", { ...common, rows: field.rows ?? 4, value: value ?? "" });
  else if (field.type === "select") {
    input = h("select", common, (field.options ?? []).map(([key, label]) => h("option", { value: key, selected: key === value }, label)));
  } else {
    const shown = field.type === "list" ? (value ?? []).join(", ") : value ?? "";
    input = h("input", {
      ...common, type: field.type === "list" ? "text" : field.type ?? "text", value: shown, autocomplete: field.autocomplete ?? "off",
      inputmode: field.inputmode, pattern: field.pattern, minlength: field.minlength, max: field.type === "date" ? "9999-12-31" : undefined,
    });
  }
  return h("div", { class: box }, h("label", { for: id }, field.label, field.required && h("span", { class: "required", "aria-hidden": "true" }, " *")), input, hint);
}

/**
 * What stands in the form, by the fields' kinds.
 * @param {HTMLFormElement} element @param {Field[]} fields
 */
function valuesOf(element, fields) {
  const data = new FormData(element);
  /** @type {Record<string, any>} */
  const values = {};
  for (const field of fields) {
    if (field.disabled) continue;
    if (field.type === "checks") values[field.name] = data.getAll(field.name);
    else if (field.type === "check") values[field.name] = data.has(field.name);
    else {
      const text = String(data.get(field.name) ?? "");
      if (field.type === "list") values[field.name] = text.split(/[,;\s]+/).filter(Boolean);
      else if (field.type === "date") values[field.name] = text || null;
      else values[field.name] = field.type === "password" ? text : text.trim();
    }
  }
  return values;
}

/**
 * @param {object} plan
 * @param {Field[]} plan.fields
 * @param {Record<string, any>} [plan.values]
 * @param {string} plan.submit label of the button
 * @param {(values: Record<string, any>, element: HTMLFormElement) => Promise<void>} plan.onsubmit throw a Problem to show its sentence
 * @param {(problem: import("../net/http.js").Problem, place: HTMLElement) => boolean} [plan.onproblem] true when it was told
 * @param {() => void} [plan.oncancel]
 * @param {string} [plan.className]
 * @returns {HTMLFormElement}
 */
export function form(plan) {
  const trouble = h("div", { class: "trouble", role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: "primary" }, plan.submit);
  const element = h("form", { class: `form ${plan.className ?? ""}`, novalidate: true },
    h("div", { class: "fields" }, plan.fields.map((field) => control(field, plan.values?.[field.name]))),
    trouble,
    h("div", { class: "actions" },
      plan.oncancel && h("button", { type: "button", class: "quiet", onclick: plan.oncancel }, t("cancel")), button),
  );
  element.addEventListener("input", () => (trouble.hidden = true));
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = /** @type {HTMLInputElement | null} */ (element.querySelector("input:invalid, select:invalid, textarea:invalid"));
    if (wrong) {
      const label = plan.fields.find((field) => field.name === wrong.name)?.label ?? wrong.name;
      tell(trouble, wrong.validity.valueMissing ? t("form.missing", { field: label }) : t("form.wrong", { field: label }));
      wrong.focus();
      return;
    }
    if (element.classList.contains("busy")) return;
    element.classList.add("busy");
    button.disabled = true;
    try {
      await plan.onsubmit(valuesOf(element, plan.fields), element);
    } catch (error) {
      const problem = asProblem(error);
      if (!plan.onproblem?.(problem, trouble)) tell(trouble, problem.message);
    } finally {
      element.classList.remove("busy");
      // Whoever locked the button for longer (a countdown) says so on it.
      if (!button.dataset.locked) button.disabled = false;
    }
  });
  return element;
}

/** @param {HTMLElement} place @param {string} sentence @param {...Node} more */
export function tell(place, sentence, ...more) {
  place.hidden = false;
  fill(place, icon("warning"), h("span", {}, sentence), ...more);
}

/**
 * The fields that differ from what was there.
 * @param {Record<string, any>} before @param {Record<string, any>} after
 */
export function changes(before, after) {
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name] ?? (Array.isArray(value) ? [] : value === null ? null : ""))));
}
