// @ts-check
/** How people are written. */
import { age, date, t } from "./language.js";

/** @typedef {import("./types.js").Patient} Patient */

/** @param {Pick<Patient, "family_name" | "given_name" | "middle_name">} patient */
export function fullName(patient) {
  const given = [patient.given_name, patient.middle_name].filter(Boolean).join(" ");
  return [patient.family_name, given].filter(Boolean).join(", ");
}

/** One line of facts: birth date, age, sex. @param {Patient} patient */
export function facts(patient) {
  return [date(patient.birth_date), age(patient.birth_date), patient.sex !== "U" ? t(`sex.${patient.sex}`) : ""].filter(Boolean).join(" · ");
}

/** @returns {[string, string][]} */
export const sexes = () => ["F", "M", "O", "U"].map((key) => [key, t(`sex.${key}`)]);
