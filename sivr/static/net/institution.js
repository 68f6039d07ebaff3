// @ts-check
/** What: studies, findings, render nodes and grants of one institution. */
import { Place, placeAt } from "./place.js";

/** @typedef {import("../model/types.js").Study} Study */
/** @typedef {import("../model/types.js").Finding} Finding */
/** @typedef {{grant: string, expires_in_s: number, node: {id: string, url: string}}} Granted */

const id = encodeURIComponent;
/** How long a server may think before it counts as one that does not answer. */
const PATIENCE_MS = 12_000;

export class Institution extends Place {
  /** @param {string} patientId @param {AbortSignal} [signal] @returns {Promise<{items: Study[], total: number}>} */
  studies(patientId, signal) {
    return this.json(`/studies?patient_id=${id(patientId)}&limit=200`, { signal, timeout_ms: PATIENCE_MS });
  }

  /** @param {string} uid @returns {Promise<Study>} */
  study(uid) {
    return this.json(`/studies/${id(uid)}`, { timeout_ms: PATIENCE_MS });
  }

  /** @param {string} uid @returns {Promise<{items: Finding[]}>} */
  findings(uid) {
    return this.json(`/studies/${id(uid)}/findings`);
  }

  /** Sent again with its key, a finding is not written twice. @param {string} uid @param {string} text @param {string} key @returns {Promise<Finding>} */
  addFinding(uid, text, key) {
    return this.json(`/studies/${id(uid)}/findings`, { method: "POST", json: { text, id: key } });
  }

  /** @param {Finding} finding @param {string} text @returns {Promise<Finding>} */
  changeFinding(finding, text) {
    return this.json(`/studies/${id(finding.study_uid)}/findings/${id(finding.id)}`, {
      method: "PUT", json: { text, version: finding.version },
    });
  }

  /** @param {Finding} finding @returns {Promise<{items: any[]}>} */
  findingHistory(finding) {
    return this.json(`/studies/${id(finding.study_uid)}/findings/${id(finding.id)}/history`);
  }

  /** @param {string} uid @returns {Promise<Granted>} */
  grantView(uid) {
    return this.json("/grants", { method: "POST", json: { action: "view", study_uid: uid } });
  }

  /** @param {string} patientId @param {string} issuer @param {string} [node] @returns {Promise<Granted>} */
  grantStore(patientId, issuer, node) {
    const json = { action: "store", patient_id: patientId, patient_issuer: issuer, ...(node ? { node_id: node } : {}) };
    return this.json("/grants", { method: "POST", json });
  }

  /** @returns {Promise<{items: any[]}>} */
  nodes() {
    return this.json("/nodes", { timeout_ms: PATIENCE_MS });
  }

  /** @param {any} fresh */
  createNode(fresh) {
    return this.json("/nodes", { method: "POST", json: fresh });
  }

  /** @param {string} key @param {any} change */
  changeNode(key, change) {
    return this.json(`/nodes/${id(key)}`, { method: "PATCH", json: change });
  }

  /** @param {string} key */
  removeNode(key) {
    return this.json(`/nodes/${id(key)}`, { method: "DELETE" });
  }
}

/** @param {string} url @returns {Institution} */
export const institutionAt = (url) => placeAt(url, Institution);
