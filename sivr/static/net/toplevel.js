// @ts-check
/** Who: users, patients, institutions, record types. */
import { Problem, jsonOf, send } from "./http.js";
import { session } from "./session.js";

/** @typedef {import("../model/types.js").User} User */
/** @typedef {import("../model/types.js").Patient} Patient */
/** @typedef {import("../model/types.js").Institution} Institution */
/** @typedef {import("../model/types.js").RecordType} RecordType */

/**
 * @param {string} path @param {import("./http.js").Ask} [ask]
 * @returns {Promise<any>}
 */
async function call(path, ask = {}) {
  for (let again = false; ; again = true) {
    const token = again ? await session.renew() : await session.token();
    try {
      const url = `${session.toplevel?.url}${path}`;
      return await jsonOf(await send(url, { ...ask, headers: { ...ask.headers, Authorization: `Bearer ${token}` } }));
    } catch (error) {
      if (again || !(error instanceof Problem) || error.status !== 401) throw error;
    }
  }
}

/** @param {Record<string, any>} values */
const query = (values) => {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "" && value !== undefined) parts.set(name, value);
  return `?${parts}`;
};
const id = encodeURIComponent;

/** @param {Partial<User>} change @returns {Promise<User>} */
export const changeMe = (change) => call("/me", { method: "PATCH", json: change });
/** @param {string} current @param {string} next */
export const changePassword = (current, next) => call("/me/password", { method: "PUT", json: { current, new: next } });
/** Names of what this user keeps. @returns {Promise<Set<string>>} */
export const settingNames = async () => new Set((await call("/settings")).items.map((/** @type {{name: string}} */ one) => one.name));
/** @param {string} name @returns {Promise<{value: any, version: number}>} */
export const setting = (name) => call(`/settings/${id(name)}`);
/** @param {string} name @param {any} value @param {number} version that is replaced, 0 for none @returns {Promise<{value: any, version: number}>} */
export const keepSetting = (name, value, version) => call(`/settings/${id(name)}`, { method: "PUT", json: { value, version } });

/**
 * @param {{query?: string, birth_date?: string, insurance_number?: string, limit?: number, offset?: number}} search
 * @param {AbortSignal} [signal]
 * @returns {Promise<{items: Patient[], total: number}>}
 */
export const findPatients = (search, signal) => call("/patients/search", { method: "POST", json: search, signal });
/** @param {string} key @returns {Promise<Patient>} */
export const patient = (key) => call(`/patients/${id(key)}`);
/** @param {Partial<Patient>} fresh @returns {Promise<Patient>} */
export const createPatient = (fresh) => call("/patients", { method: "POST", json: fresh });
/** @param {string} key @param {Partial<Patient>} change @returns {Promise<Patient>} */
export const changePatient = (key, change) => call(`/patients/${id(key)}`, { method: "PATCH", json: change });

/** @type {{items: Institution[], until_ms: number} | null} */
let known = null;
session.addEventListener("closed", () => (known = null));

/** All institutions, remembered for a minute. @returns {Promise<Institution[]>} */
export async function institutions() {
  if (!known || Date.now() > known.until_ms) {
    known = { items: (await call("/institutions")).items, until_ms: Date.now() + 60_000 };
  }
  return known.items;
}

/**
 * Lists that administrators keep: the same four verbs for each.
 * @param {string} path
 */
function keeper(path) {
  const forget = () => (known = null);
  return {
    /** @param {Record<string, any>} [search] @returns {Promise<{items: any[], total?: number}>} */
    list: (search = {}) => call(path + query(search)),
    /** @param {any} fresh */
    create: (fresh) => call(path, { method: "POST", json: fresh }).finally(forget),
    /** @param {string} key @param {any} change */
    change: (key, change) => call(`${path}/${id(key)}`, { method: "PATCH", json: change }).finally(forget),
    /** @param {string} key */
    remove: (key) => call(`${path}/${id(key)}`, { method: "DELETE" }).finally(forget),
  };
}

export const users = {
  ...keeper("/users"),
  /** @param {string} key @param {string} next */
  givePassword: (key, next) => call(`/users/${id(key)}/password`, { method: "PUT", json: { new: next } }),
  /** @param {string} key */
  unlock: (key) => call(`/users/${id(key)}/unlock`, { method: "POST" }),
};
export const institutionList = keeper("/institutions");
export const recordTypes = keeper("/record-types");
