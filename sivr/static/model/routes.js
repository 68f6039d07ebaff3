// @ts-check
/** Addresses of the pages: ids only, never names. */

const part = encodeURIComponent;

export const routes = {
  patients: () => "#/patients",
  /** @param {string} patient */
  patient: (patient) => `#/patients/${part(patient)}`,
  /** @param {string} patient @param {string} institution @param {string} study @param {string} [series] */
  study: (patient, institution, study, series) =>
    `#/patients/${part(patient)}/studies/${part(institution)}/${part(study)}${series ? `/${part(series)}` : ""}`,
  /** @param {string} [tab] */
  administration: (tab) => `#/administration${tab ? `/${part(tab)}` : ""}`,
  profile: () => "#/profile",
};

/** @type {[RegExp, string, string[]][]} */
const TABLE = [
  [/^#\/patients$/, "patients", []],
  [/^#\/patients\/([^/]+)$/, "patient", ["patient"]],
  [/^#\/patients\/([^/]+)\/studies\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/, "viewer", ["patient", "institution", "study", "series"]],
  [/^#\/administration(?:\/([^/]+))?$/, "administration", ["tab"]],
  [/^#\/profile$/, "profile", []],
];

/**
 * Which page an address names; null for none.
 * @param {string} hash
 * @returns {{page: string, parameters: Record<string, string>} | null}
 */
export function pageAt(hash) {
  for (const [pattern, page, names] of TABLE) {
    const found = pattern.exec(hash);
    if (!found) continue;
    /** @type {Record<string, string>} */
    const parameters = {};
    names.forEach((name, index) => {
      if (found[index + 1] !== undefined) parameters[name] = decodeURIComponent(found[index + 1]);
    });
    return { page, parameters };
  }
  return null;
}
