// @ts-check
/** Bytes: series, pictures and queues of one render node, opened by grants that institutions sign. */
import { Place, placeAt } from "./place.js";
import { Problem, jsonOf } from "./http.js";

/** @typedef {import("./institution.js").Granted} Granted */
/** @typedef {import("../model/types.js").SeriesContents} SeriesContents */

const id = encodeURIComponent;
const SPARE_MS = 60_000;

export class RenderNode extends Place {
  /** @type {Map<string, {jwt: string, until_ms: number, obtain: () => Promise<Granted>}>} */
  #grants = new Map();

  /**
   * Make sure that the session carries a grant, and that it stays so.
   * @param {string} key what it is for, e.g. a study
   * @param {() => Promise<Granted>} obtain asks the institution
   * @param {Granted} [had] one that was just obtained
   */
  async allow(key, obtain, had) {
    const known = this.#grants.get(key);
    if (!had && known && Date.now() < known.until_ms - SPARE_MS) return;
    const granted = had ?? (await obtain());
    this.#grants.set(key, { jwt: granted.grant, until_ms: Date.now() + granted.expires_in_s * 1000, obtain });
    await this.open(true);
  }

  async credentials() {
    for (const grant of this.#grants.values()) {
      if (Date.now() < grant.until_ms - SPARE_MS) continue;
      const fresh = await grant.obtain().catch(() => null);
      if (fresh) Object.assign(grant, { jwt: fresh.grant, until_ms: Date.now() + fresh.expires_in_s * 1000 });
    }
    for (const [key, grant] of this.#grants) if (Date.now() > grant.until_ms) this.#grants.delete(key);
    return { grants: [...this.#grants.values()].map((grant) => grant.jwt) };
  }

  /** @override */
  async open(again = false) {
    const due = [...this.#grants.values()].some((grant) => Date.now() > grant.until_ms - SPARE_MS);
    return super.open(again || due);
  }

  /**
   * A grant that ended or got lost with the node's session is asked for again, once.
   * @override
   * @param {string} path @param {import("./http.js").Ask} [ask]
   */
  async send(path, ask) {
    try {
      return await super.send(path, ask);
    } catch (error) {
      const reason = error instanceof Problem && error.status === 403 ? String(error.details.reason ?? "") : "";
      if (!reason.startsWith("grant_") || !this.#grants.size) throw error;
      for (const grant of this.#grants.values()) grant.until_ms = 0;
      await this.open(true);
      return super.send(path, ask);
    }
  }

  /** @override */
  grantHeaders() {
    const newest = [...this.#grants.values()].map((grant) => grant.jwt);
    /** @type {Record<string, string>} */
    const headers = {};
    if (newest.length) headers["Sivr-Grant"] = newest.join(", ");
    return headers;
  }

  /** @param {string} study @param {AbortSignal} [signal] @returns {Promise<{study_uid: string, series: SeriesContents[]}>} */
  contents(study, signal) {
    return this.json(`/studies/${id(study)}/contents`, { signal, timeout_ms: 60_000 });
  }

  /** @param {string} study @param {string} series @param {AbortSignal} [signal] @returns {Promise<SeriesContents>} */
  seriesContents(study, series, signal) {
    return this.json(`/studies/${id(study)}/series/${id(series)}/contents`, { signal, timeout_ms: 60_000 });
  }

  /**
   * Modality values of a volume, and of one laid over it, at points of the patient.
   * @param {string} study @param {string} series @param {number[][]} points LPS mm @param {string} over series UID or empty @param {AbortSignal} [signal]
   * @returns {Promise<{items: any[]}>}
   */
  values(study, series, points, over, signal) {
    const asked = points.map((point) => point.map((one) => one.toFixed(3)).join(",")).join(";");
    const more = over ? `&overlay_series=${id(over)}` : "";
    return this.json(`/studies/${id(study)}/series/${id(series)}/values?points=${asked}${more}`, { signal, timeout_ms: 60_000 });
  }

  /**
   * Where the columns of a plane along a curve lie in the patient.
   * @param {string} study @param {string} series @param {string} options the curve's parameters @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  curve(study, series, options, signal) {
    return this.json(`/studies/${id(study)}/series/${id(series)}/curve?${options}`, { signal });
  }

  /** @returns {Promise<{items: any[]}>} */
  presets() {
    return this.json("/presets");
  }

  /** @param {"queue" | "outbox"} which @returns {Promise<any>} */
  queue(which) {
    return this.json(`/${which}`, { timeout_ms: 12_000 });
  }

  /** @param {"queue" | "outbox"} which @param {string} key */
  retry(which, key) {
    return this.json(`/${which}/${id(key)}/retry`, { method: "POST" });
  }

  /** @param {{patient_id: string, patient_issuer: string, files_expected: number, bytes_expected: number}} expected @returns {Promise<{id: string, url: string}>} */
  createUpload(expected) {
    return this.json("/uploads", { method: "POST", json: expected });
  }

  /** @param {string} key @returns {Promise<any>} */
  upload(key) {
    return this.json(`/uploads/${id(key)}?files=no`);
  }

  /** @param {string} key */
  async cancelUpload(key) {
    return jsonOf(await this.send(`/uploads/${id(key)}`, { method: "DELETE" }));
  }
}

/** @param {string} url @returns {RenderNode} */
export const nodeAt = (url) => placeAt(url, RenderNode);
