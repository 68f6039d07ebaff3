// @ts-check
/** One way to ask a server something, and one kind of error for everything that can go wrong. */
import { t } from "../model/language.js";
import { bounded } from "../lib/wait.js";

/** What went wrong, as a sentence for the person who reads it. */
export class Problem extends Error {
  /**
   * @param {string} sentence
   * @param {{status?: number, details?: Record<string, any>, network?: boolean, canceled?: boolean}} [facts]
   */
  constructor(sentence, facts = {}) {
    super(sentence);
    this.name = "Problem";
    /** HTTP status; 0 when no answer came. */
    this.status = facts.status ?? 0;
    this.details = facts.details ?? {};
    /** True when the server could not be reached or did not answer in time. */
    this.network = facts.network ?? false;
    /** True when we ourselves gave the request up, or the server replaced it by a newer one. */
    this.canceled = facts.canceled ?? false;
  }
}

/** Whether the last thing we heard of the network was good; fires "change". */
class Link extends EventTarget {
  online = navigator.onLine;

  /** @param {boolean} online */
  set(online) {
    if (online === this.online) return;
    this.online = online;
    this.dispatchEvent(new Event("change"));
  }
}

export const link = new Link();
window.addEventListener("offline", () => link.set(false));
window.addEventListener("online", () => link.set(true));

/** @param {unknown} error @returns {Problem} */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  if (error instanceof DOMException && error.name === "AbortError") {
    return new Problem(t("error.canceled"), { canceled: true });
  }
  console.error(error);
  return new Problem(t("error.unexpected"));
}

/**
 * The sentence of an answer that is no success.
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
export async function problemOf(response) {
  /** @type {Record<string, any>} */
  let body = {};
  if ((response.headers.get("Content-Type") ?? "").includes("json")) {
    body = await response.json().catch(() => ({}));
  }
  return problemFrom(response.status, body, response.headers.get("Retry-After"));
}

/**
 * @param {number} status @param {Record<string, any>} body @param {string | null} [retryAfter]
 * @returns {Problem}
 */
export function problemFrom(status, body, retryAfter = null) {
  const sentence = body.detail || body.title || t("error.status", { status });
  const details = { ...body };
  if (details.retry_after_s === undefined && retryAfter) details.retry_after_s = Number(retryAfter) || undefined;
  const canceled = status === 409 && body.title === "Replaced by a newer request";
  return new Problem(sentence, { status, details, canceled });
}

/**
 * @typedef {object} Ask
 * @property {string} [method]
 * @property {any} [json] sent as the body
 * @property {Blob} [body] sent as it is
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {RequestCredentials} [credentials]
 * @property {number} [timeout_ms]
 * @property {RequestPriority} [priority]
 * @property {boolean} [keepalive] goes on when the page is left
 */

/**
 * Ask; resolves with a good answer, rejects with a Problem.
 * @param {string} url @param {Ask} [ask]
 * @returns {Promise<Response>}
 */
export async function send(url, ask = {}) {
  const { method = "GET", json, body, headers = {}, signal, credentials = "omit", timeout_ms = 30_000, priority, keepalive } = ask;
  const limit = bounded(timeout_ms, signal);
  /** @type {RequestInit} */
  const init = { method, headers: { ...headers }, credentials, signal: limit.signal, priority, keepalive, cache: "default" };
  if (body) init.body = body;
  if (json !== undefined) {
    init.body = JSON.stringify(json);
    /** @type {Record<string, string>} */ (init.headers)["Content-Type"] = "application/json";
  }
  try {
    const response = await fetch(url, init);
    link.set(true);
    if (!response.ok) throw await problemOf(response);
    return response;
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (signal?.aborted) throw new Problem(t("error.canceled"), { canceled: true });
    if (limit.timedOut()) throw new Problem(t("error.timeout"), { network: true });
    if (!navigator.onLine) link.set(false);
    throw new Problem(t(navigator.onLine ? "error.network" : "error.offline"), { network: true });
  } finally {
    limit.done();
  }
}

/**
 * The JSON of a good answer; null where there is no body.
 * @param {Response} response
 */
export async function jsonOf(response) {
  if (response.status === 204 || response.headers.get("Content-Length") === "0") return null;
  try {
    return await response.json();
  } catch {
    throw new Problem(t("error.unreadable"));
  }
}
