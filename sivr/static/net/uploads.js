// @ts-check
/**
 * Uploads to a node: several files at a time, each resumed from where the node has it when the line breaks, going on
 * while the user looks at something else.
 */
import { Problem, asProblem, link, problemFrom } from "./http.js";
import { institutionAt } from "./institution.js";
import { nodeAt } from "./node.js";
import { session } from "./session.js";
import { backoff_ms, wait } from "../lib/wait.js";
import { t } from "../model/language.js";

/** @typedef {import("../lib/files.js").NamedFile} NamedFile */
/**
 * @typedef {object} FileResult
 * @property {string} file_id @property {string} name @property {"stored" | "duplicate" | "refused" | "archive"} status
 * @property {string} reason @property {string | null} [study_uid] @property {number} size_bytes
 * @property {string[]} [warnings] @property {FileResult[]} [members]
 */
/**
 * @typedef {object} Item
 * @property {string} id @property {File} file @property {string} path @property {number} sent
 * @property {"waiting" | "sending" | "checking" | "done" | "failed"} state @property {FileResult | null} result
 * @property {string} reason
 */

const AT_ONCE = 3;
const POLL_MS = 1000;
const SPEED_WINDOW_MS = 4000;
const MOST_NAME = 512;

/** One set of files for one patient on one institution's node; fires "change" and, once, "indexed". */
export class Batch extends EventTarget {
  /** @type {"sending" | "waiting" | "indexing" | "done" | "canceled" | "failed"} */
  state = "sending";
  /** Why it waits or failed. */
  reason = "";
  /** @type {string[]} */
  studies = [];
  #controller = new AbortController();
  #url = "";
  #uploadId = "";
  /** @type {[number, number][]} time and bytes */
  #marks = [];

  /**
   * @param {NamedFile[]} files
   * @param {{id: string, name: string, url: string}} institution
   * @param {{id: string}} patient
   */
  constructor(files, institution, patient) {
    super();
    this.institution = institution;
    this.patientId = patient.id;
    this.issuer = session.toplevel?.id ?? "";
    /** @type {Item[]} */
    this.items = files.map(({ file, path }, index) => ({
      id: `f${index + 1}`, file, path, sent: 0, state: "waiting", result: null, reason: "",
    }));
    this.total_bytes = files.reduce((sum, { file }) => sum + file.size, 0);
  }

  get sent_bytes() {
    return this.items.reduce((sum, item) => sum + item.sent, 0);
  }

  get finished() {
    return ["done", "canceled", "failed"].includes(this.state);
  }

  /** Results of single objects, those inside archives included. @returns {FileResult[]} */
  get results() {
    return this.items.flatMap((item) => (item.result ? leaves(item.result) : item.state === "failed"
      ? [{ file_id: item.id, name: item.path, status: /** @type {"refused"} */ ("refused"), reason: item.reason, size_bytes: item.file.size }]
      : []));
  }

  /** @param {string} status */
  count(status) {
    return this.results.filter((result) => result.status === status).length;
  }

  /** Bytes per second of late; 0 when unknown. */
  get speed_bytes_s() {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    return first && last && last[0] > first[0] ? ((last[1] - first[1]) / (last[0] - first[0])) * 1000 : 0;
  }

  #changed() {
    const now = performance.now();
    this.#marks.push([now, this.sent_bytes]);
    while (this.#marks.length > 2 && now - this.#marks[0][0] > SPEED_WINDOW_MS) this.#marks.shift();
    this.dispatchEvent(new Event("change"));
  }

  cancel() {
    if (this.finished) return;
    this.state = "canceled";
    this.#controller.abort();
    // After a log out nobody is there to ask the node for anything; what it has of an upload it forgets by itself.
    if (this.#uploadId && this.node && session.user) this.node.cancelUpload(this.#uploadId).catch(() => {});
    this.#changed();
  }

  async run() {
    const { signal } = this.#controller;
    try {
      await this.#patiently(() => this.#begin());
      await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work()));
      if (signal.aborted) return;
      this.state = "indexing";
      this.reason = "";
      this.#changed();
      await this.#untilIndexed();
      this.state = "done";
    } catch (error) {
      if (signal.aborted) return;
      this.state = "failed";
      this.reason = asProblem(error).message;
      this.#controller.abort();
    } finally {
      this.#changed();
    }
    if (this.state === "done") this.dispatchEvent(new Event("indexed"));
  }

  async #begin() {
    const institution = institutionAt(this.institution.url);
    const granted = await institution.grantStore(this.patientId, this.issuer);
    this.node = nodeAt(granted.node.url);
    const obtain = () => institution.grantStore(this.patientId, this.issuer, granted.node.id);
    await this.node.allow(`store:${this.issuer}:${this.patientId}`, obtain, granted);
    const created = await this.node.createUpload({
      patient_id: this.patientId, patient_issuer: this.issuer,
      files_expected: this.items.length, bytes_expected: this.total_bytes,
    });
    this.#uploadId = created.id;
    this.#url = `${this.node.base}/uploads/${encodeURIComponent(created.id)}`;
  }

  /**
   * Do something until it succeeds, as long as only the line or a busy server is in the way.
   * @template T
   * @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async #patiently(work) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const result = await work();
        if (this.state === "waiting") this.state = "sending";
        return result;
      } catch (error) {
        const problem = asProblem(error);
        const passing = problem.network || [408, 425, 429, 500, 502, 503, 504].includes(problem.status);
        if (!passing || this.#controller.signal.aborted) throw problem;
        // A server that keeps failing in the same way is no lost line: give in after some minutes.
        if (!problem.network && attempt > 24) throw problem;
        this.state = "waiting";
        this.reason = problem.message;
        this.#changed();
        const online = new AbortController();
        const wake = () => link.online && online.abort();
        link.addEventListener("change", wake);
        this.#controller.signal.addEventListener("abort", () => online.abort(), { once: true });
        await wait(backoff_ms(attempt), online.signal).catch(() => {});
        link.removeEventListener("change", wake);
        if (this.#controller.signal.aborted) throw problem;
      }
    }
  }

  async #work() {
    for (;;) {
      const item = this.items.find((one) => one.state === "waiting");
      if (!item || this.#controller.signal.aborted) return;
      item.state = "sending";
      let first = true;
      try {
        item.result = await this.#patiently(async () => {
          const offset = first ? 0 : await this.#offset(item);
          first = false;
          return this.#put(item, offset);
        });
        item.state = "done";
        item.sent = item.file.size;
        for (const one of leaves(item.result)) {
          if (one.study_uid && !this.studies.includes(one.study_uid)) this.studies.push(one.study_uid);
        }
      } catch (error) {
        if (this.#controller.signal.aborted) return;
        // One bad file never stops the others.
        item.state = "failed";
        item.reason = asProblem(error).message;
        item.sent = item.file.size;
      }
      this.#changed();
    }
  }

  /** @param {Item} item */
  #address(item) {
    return `${this.#url}/files/${item.id}`;
  }

  /** How much of a file the node has. @param {Item} item @returns {Promise<number>} */
  async #offset(item) {
    const node = /** @type {import("./node.js").RenderNode} */ (this.node);
    try {
      const path = this.#address(item).slice(node.base.length);
      const response = await node.send(path, { method: "HEAD", headers: named(item), signal: this.#controller.signal, timeout_ms: 15_000 });
      return Number(response.headers.get("Upload-Offset") ?? 0);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return 0;
      throw error;
    }
  }

  /**
   * Send a file from an offset on. XMLHttpRequest, because fetch does not say how much has left.
   * @param {Item} item @param {number} offset @returns {Promise<FileResult>}
   */
  async #put(item, offset) {
    const node = /** @type {import("./node.js").RenderNode} */ (this.node);
    for (let again = 0; ; again += 1) {
      const headers = await node.ready();
      const { status, body } = await this.#transfer(item, offset, headers);
      if (status === 200 || status === 201) return body;
      if (status === 401 && again < 2) await node.open(true);
      else if (status === 409 && again < 3) offset = await this.#offset(item);
      else throw problemFrom(status, body);
    }
  }

  /**
   * @param {Item} item @param {number} offset @param {Record<string, string>} headers
   * @returns {Promise<{status: number, body: any}>}
   */
  #transfer(item, offset, headers) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const { signal } = this.#controller;
      request.open("PUT", this.#address(item));
      request.withCredentials = true;
      request.setRequestHeader("Upload-Offset", String(offset));
      request.setRequestHeader("Upload-Length", String(item.file.size));
      request.setRequestHeader("Content-Type", "application/octet-stream");
      for (const [name, value] of Object.entries({ ...headers, ...named(item) })) request.setRequestHeader(name, value);
      const stop = () => request.abort();
      signal.addEventListener("abort", stop, { once: true });
      item.sent = offset;
      request.upload.addEventListener("progress", (event) => {
        item.sent = offset + event.loaded;
        this.#changed();
      });
      request.upload.addEventListener("load", () => {
        item.state = "checking";
        this.#changed();
      });
      request.addEventListener("loadend", () => {
        signal.removeEventListener("abort", stop);
        if (request.status === 0) {
          item.state = "sending";
          reject(new Problem(t(signal.aborted ? "error.canceled" : "error.network"), { network: !signal.aborted, canceled: signal.aborted }));
          return;
        }
        link.set(true);
        let body = {};
        try {
          body = JSON.parse(request.responseText);
        } catch {
          // An answer without a body: the status alone says what happened.
        }
        resolve({ status: request.status, body });
      });
      request.send(offset ? item.file.slice(offset) : item.file);
    });
  }

  async #untilIndexed() {
    const node = /** @type {import("./node.js").RenderNode} */ (this.node);
    if (!this.results.some((result) => result.status === "stored" || result.status === "duplicate")) return;
    for (;;) {
      const state = await this.#patiently(() => node.upload(this.#uploadId));
      for (const study of state.studies ?? []) {
        if (!this.studies.includes(study.study_uid)) this.studies.push(study.study_uid);
      }
      if (this.state === "waiting") this.state = "indexing";
      if (state.indexed) return;
      this.state = "indexing";
      this.#changed();
      await wait(POLL_MS, this.#controller.signal);
    }
  }
}

/**
 * What the file is called. In a header, because addresses are logged on the way and folders are often named for patients.
 * @param {Item} item @returns {Record<string, string>}
 */
function named(item) {
  // Servers bound their headers; the end of a long path tells more than its beginning.
  const name = [...item.path.replace(/[\p{Cc}\p{Cs}]/gu, "\uFFFD")].slice(-MOST_NAME).join("");
  return { "Sivr-File-Name": encodeURIComponent(name) };
}

/** @param {FileResult} result @returns {FileResult[]} */
function leaves(result) {
  if (result.status !== "archive") return [result];
  return (result.members ?? []).flatMap(leaves);
}

/** All uploads of this page; fires "change" when one is added or taken away. */
class Uploads extends EventTarget {
  /** @type {Batch[]} */
  batches = [];

  /**
   * @param {NamedFile[]} files @param {{id: string, name: string, url: string}} institution @param {{id: string}} patient
   */
  start(files, institution, patient) {
    const batch = new Batch(files, institution, patient);
    this.batches.push(batch);
    this.dispatchEvent(new Event("change"));
    batch.run();
    return batch;
  }

  /** @param {Batch} batch */
  dismiss(batch) {
    this.batches = this.batches.filter((one) => one !== batch);
    this.dispatchEvent(new Event("change"));
  }

  get active() {
    return this.batches.some((batch) => !batch.finished);
  }
}

export const uploads = new Uploads();

session.addEventListener("closed", () => {
  for (const batch of uploads.batches) batch.cancel();
  uploads.batches = [];
  uploads.dispatchEvent(new Event("change"));
});
window.addEventListener("beforeunload", (event) => {
  if (uploads.active) event.preventDefault();
});
