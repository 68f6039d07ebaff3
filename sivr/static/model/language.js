// @ts-check
/** The language of the page, its sentences, and how it writes dates and numbers. */
import { catalogue } from "./catalogue.js";
import "./messages.js";

/** @typedef {"en" | "hr"} Language */

export const LANGUAGES = /** @type {const} */ ({ en: "English", hr: "Hrvatski" });
const REMEMBERED = "sivr.language";

/** Fires "change". */
class Spoken extends EventTarget {
  /** @type {Language} */
  now = first();
  /** Whether somebody chose it by hand on this page. */
  chosen = false;

  /** @param {string} language @param {boolean} [byHand] */
  set(language, byHand = false) {
    this.chosen ||= byHand;
    if (!(language in LANGUAGES) || language === this.now) return;
    this.now = /** @type {Language} */ (language);
    localStorage.setItem(REMEMBERED, language);
    document.documentElement.lang = language;
    this.dispatchEvent(new Event("change"));
  }
}

/** @returns {Language} */
function first() {
  const wanted = [localStorage.getItem(REMEMBERED), ...navigator.languages].map((one) => (one ?? "").slice(0, 2));
  const found = wanted.find((one) => one in LANGUAGES);
  const language = /** @type {Language} */ (found ?? "en");
  document.documentElement.lang = language;
  return language;
}

export const spoken = new Spoken();

/** @type {Record<Language, Intl.PluralRules>} */
const plurals = { en: new Intl.PluralRules("en"), hr: new Intl.PluralRules("hr") };

/**
 * A sentence of the catalogue; `{name}` is replaced by values.name. Where the catalogue has several forms, `count`
 * chooses.
 * @param {string} key @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  /** @type {any} */
  const entry = catalogue[key];
  if (!entry) return key;
  let text = entry[spoken.now];
  if (typeof text === "object") {
    const form = plurals[spoken.now].select(Number(values.count ?? 0));
    text = text[form] ?? text.other;
  }
  return text.replace(/\{(\w+)\}/g, (/** @type {string} */ whole, /** @type {string} */ name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

const locale = () => (spoken.now === "hr" ? "hr-HR" : "en-GB");

/** @param {number} value @param {number} [digits] most digits after the point */
export const number = (value, digits = 1) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);

/** A calendar date without a time zone. @param {string | null | undefined} iso "YYYY-MM-DD" */
export function date(iso) {
  if (!iso) return "";
  const [year, month, day] = iso.slice(0, 10).split("-").map(Number);
  if (!year) return iso;
  return new Intl.DateTimeFormat(locale(), { day: "2-digit", month: "2-digit", year: "numeric", timeZone: "UTC" })
    .format(Date.UTC(year, month - 1, day));
}

/** A moment, in this place's time. @param {string | null | undefined} iso */
export function moment(iso) {
  if (!iso) return "";
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return iso;
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(when);
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(value, value < 10 && unit > 0 ? 1 : 0)}\u00a0${units[unit]}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const minutes = Math.floor(whole / 60);
  return minutes ? `${minutes}\u00a0min ${whole % 60}\u00a0s` : `${whole}\u00a0s`;
}

/** Age in whole years at a date. @param {string | null} birth @param {string | null} [at] */
export function age(birth, at) {
  if (!birth) return "";
  const then = new Date(birth);
  const when = at ? new Date(at) : new Date();
  let years = when.getFullYear() - then.getFullYear();
  if (when.getMonth() < then.getMonth() || (when.getMonth() === then.getMonth() && when.getDate() < then.getDate())) {
    years -= 1;
  }
  return years >= 0 && years < 150 ? t("patient.age", { count: years }) : "";
}
