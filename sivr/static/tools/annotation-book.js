// @ts-check
/**
 * The annotations of one study: what is drawn is kept at once, sent as soon as the line allows, and what others draw is
 * heard of. Undo and redo are of this window.
 */
import { addAnnotation, annotationsSince, changeAnnotation } from "../net/annotations.js";
import { asProblem } from "../net/http.js";
import { session } from "../net/session.js";

/** @typedef {import("../net/annotations.js").Annotation} Annotation */
/** @typedef {import("../net/annotations.js").Drawing} Drawing */
/** @typedef {import("../net/annotations.js").Place} Place */
/** @typedef {{id: string, before: Kept | null, after: Kept}} Step */
/** @typedef {{drawing: Drawing, deleted: boolean}} Kept */
/** @typedef {{wanted: Kept, sending: boolean}} Pending */

const LISTEN_MS = 4000;
const RETRY_MS = [1000, 2000, 5000, 10_000, 20_000];
const MOST_STEPS = 200;

/** @param {Drawing} one @returns {Drawing} */
const drawingOf = ({ kind, place, points, name, text, color, visibility }) => ({ kind, place, points, name, text, color, visibility });

/** Fires "change" when what is drawn changed, "state" when it was or was not saved. */
export class AnnotationBook extends EventTarget {
  /** @type {Map<string, Annotation>} */
  items = new Map();
  /** False where the reader may not see annotations at all. */
  allowed = true;
  /** Nothing is shown. */
  hidden = false;
  /** Single ones that this reader hides. @type {Set<string>} */
  hiddenIds = new Set();
  /** Authors whose annotations this reader hides. @type {Set<string>} */
  hiddenAuthors = new Set();
  /** Why the last sending failed. */
  problem = "";
  #cursor = 0;
  /** Changes that the institution does not have yet. @type {Map<string, Pending>} */
  #pending = new Map();
  /** @type {Step[]} */
  #done = [];
  /** @type {Step[]} */
  #undone = [];
  #readers = 0;
  #timer = 0;
  #retry = 0;
  #failures = 0;
  #listening = false;

  /** @param {import("../net/institution.js").Institution} institution @param {string} study */
  constructor(institution, study) {
    super();
    this.institution = institution;
    this.study = study;
    window.addEventListener("beforeunload", (event) => {
      if (this.#pending.size) event.preventDefault();
    });
    window.addEventListener("online", () => this.#send());
  }

  /** Somebody looks: listen to others until the signal ends. @param {AbortSignal} signal */
  open(signal) {
    this.#readers += 1;
    signal.addEventListener("abort", () => {
      this.#readers -= 1;
      if (!this.#readers) clearTimeout(this.#timer);
    });
    this.#listen();
  }

  async #listen() {
    clearTimeout(this.#timer);
    if (!this.#readers || !this.allowed || this.#listening) return;
    this.#listening = true;
    try {
      if (!document.hidden) await this.#hear();
    } catch (error) {
      const { status } = asProblem(error);
      if (status === 403) this.allowed = false;
    } finally {
      this.#listening = false;
    }
    if (this.#readers && this.allowed) this.#timer = window.setTimeout(() => this.#listen(), LISTEN_MS);
  }

  async #hear() {
    for (let more = true; more;) {
      const page = await annotationsSince(this.institution, this.study, this.#cursor);
      for (const one of page.items) if (!this.#pending.has(one.id)) this.items.set(one.id, one);
      this.#cursor = page.cursor;
      more = page.more;
      if (page.items.length) this.#changed();
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** @returns {"saved" | "saving" | "retrying"} */
  get state() {
    if (!this.#pending.size) return "saved";
    return this.problem ? "retrying" : "saving";
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Whether this reader may change it. @param {Annotation} one */
  mine(one) {
    return one.author.id === session.user?.id;
  }

  /** Everything that is not deleted, oldest first. @returns {Annotation[]} */
  get all() {
    return [...this.items.values()].filter((one) => !one.deleted).sort((a, b) => a.created_at.localeCompare(b.created_at));
  }

  /** @param {Annotation} one */
  shows(one) {
    return !one.deleted && !this.hidden && !this.hiddenIds.has(one.id) && !this.hiddenAuthors.has(one.author.id);
  }

  /** What is drawn on a frame. @param {string} instance @param {number} frame @returns {Annotation[]} */
  onFrame(instance, frame) {
    return this.all.filter(({ place }) => place.on === "frame" && place.instance_uid === instance && place.frame === frame);
  }

  /** @param {Drawing} drawing @returns {string} its id */
  add(drawing) {
    const id = crypto.randomUUID().replaceAll("-", "");
    const now = new Date().toISOString();
    const author = { id: session.user?.id ?? "", name: session.user?.name ?? "" };
    this.items.set(id, { ...drawing, id, study_uid: this.study, author, version: 0, deleted: false, change: 0, created_at: now, updated_at: now });
    this.#step(id, null, { drawing, deleted: false });
    return id;
  }

  /**
   * Change it; `passing` while the hand still moves: it is shown and not yet sent.
   * @param {string} id @param {Partial<Drawing>} change @param {boolean} [passing]
   */
  change(id, change, passing = false) {
    const one = this.items.get(id);
    if (!one || !this.mine(one)) return;
    const before = { drawing: this.#resting.get(id) ?? drawingOf(one), deleted: one.deleted };
    if (passing) this.#resting.set(id, before.drawing);
    else this.#resting.delete(id);
    Object.assign(one, change);
    if (passing) this.#changed();
    else this.#step(id, before, { drawing: drawingOf(one), deleted: one.deleted });
  }

  /** How things were before the hand took them. @type {Map<string, Drawing>} */
  #resting = new Map();

  /** @param {string} id */
  remove(id) {
    const one = this.items.get(id);
    if (!one || one.deleted || !this.mine(one)) return;
    const drawing = drawingOf(one);
    one.deleted = true;
    this.#step(id, { drawing, deleted: false }, { drawing, deleted: true });
  }

  /** @param {string} id @param {Kept | null} before @param {Kept} after */
  #step(id, before, after) {
    this.#done.push({ id, before, after });
    if (this.#done.length > MOST_STEPS) this.#done.shift();
    this.#undone = [];
    this.#want(id, after);
  }

  undo() {
    const step = this.#done.pop();
    if (!step) return;
    this.#undone.push(step);
    this.#put(step.id, step.before ?? { drawing: step.after.drawing, deleted: true });
  }

  redo() {
    const step = this.#undone.pop();
    if (!step) return;
    this.#done.push(step);
    this.#put(step.id, step.after);
  }

  /** @param {string} id @param {Kept} kept */
  #put(id, kept) {
    const one = this.items.get(id);
    if (!one) return;
    Object.assign(one, kept.drawing, { deleted: kept.deleted });
    this.#want(id, kept);
  }

  /** @param {string} id @param {Kept} wanted */
  #want(id, wanted) {
    const known = this.#pending.get(id);
    if (known) known.wanted = wanted;
    else this.#pending.set(id, { wanted, sending: false });
    this.#changed();
    this.dispatchEvent(new Event("state"));
    this.#send();
  }

  /** Send what waits, one change of each annotation at a time. */
  #send() {
    clearTimeout(this.#retry);
    for (const [id, pending] of this.#pending) if (!pending.sending) this.#sendOne(id, pending);
  }

  /** @param {string} id @param {Pending} pending */
  async #sendOne(id, pending) {
    const { wanted } = pending;
    const one = /** @type {Annotation} */ (this.items.get(id));
    pending.sending = true;
    try {
      // What was drawn and taken back before it was ever sent need not be sent.
      if (one.version || !wanted.deleted) {
        const fresh = !one.version;
        const kept = one.version
          ? await changeAnnotation(this.institution, this.study, id, { ...wanted.drawing, version: one.version, deleted: wanted.deleted })
          : await addAnnotation(this.institution, this.study, id, wanted.drawing);
        Object.assign(one, { version: kept.version, created_at: kept.created_at, updated_at: kept.updated_at, author: kept.author });
        // An answer of an earlier sending that got lost on the way: what is wanted now is sent on its version.
        if (fresh && !wanted.deleted && JSON.stringify(drawingOf(kept)) !== JSON.stringify(wanted.drawing)) pending.wanted = { ...wanted };
      }
      this.problem = "";
      this.#failures = 0;
      if (pending.wanted === wanted) this.#pending.delete(id);
    } catch (error) {
      this.#failed(id, pending, asProblem(error));
    }
    pending.sending = false;
    this.dispatchEvent(new Event("state"));
    if (this.#pending.has(id) && !this.problem) this.#sendOne(id, pending);
  }

  /** @param {string} id @param {Pending} pending @param {import("../net/http.js").Problem} problem */
  #failed(id, pending, problem) {
    const one = /** @type {Annotation} */ (this.items.get(id));
    const current = problem.details.current;
    if (problem.status === 409 && current) {
      // Another window of the same reader was quicker: this one's drawing is sent on top of it.
      one.version = current.version;
      this.dispatchEvent(new Event("conflict"));
      return;
    }
    if (problem.status >= 400 && problem.status < 500 && problem.status !== 401 && problem.status !== 408 && problem.status !== 429) {
      this.#pending.delete(id);
      if (!one.version) this.items.delete(id);
      this.dispatchEvent(new CustomEvent("refused", { detail: problem.message }));
      this.#cursor = 0;
      this.#changed();
      this.#listen();
      return;
    }
    this.problem = problem.message;
    const pause = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => {
      this.problem = "";
      this.#send();
    }, pause);
  }

  /** Hear of everything once more, e.g. after an import. */
  refresh() {
    return this.#hear();
  }

  /** @param {"hidden"} what */
  toggle(what) {
    this[what] = !this[what];
    this.#changed();
  }

  /** @param {Set<string>} set of hidden things @param {string} key */
  toggleIn(set, key) {
    if (!set.delete(key)) set.add(key);
    this.#changed();
  }
}

/** @type {Map<string, AnnotationBook>} */
const books = new Map();
session.addEventListener("closed", () => books.clear());

/** The book of a study, the same for every cell that shows it. @param {import("../net/institution.js").Institution} institution @param {string} study */
export function bookOf(institution, study) {
  const key = `${institution.base} ${study}`;
  let book = books.get(key);
  if (!book) books.set(key, (book = new AnnotationBook(institution, study)));
  return book;
}
