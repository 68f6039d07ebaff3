// @ts-check
/** Uploads under way, on every page: progress of each file and of the whole, cancel, and what was refused and why. */
import { fill, h, perFrame, setText } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { uploads } from "../net/uploads.js";
import { duration, size, spoken, t } from "../model/language.js";
import { confirmed } from "./dialog.js";

/** @typedef {import("../net/uploads.js").Batch} Batch */
/** @typedef {import("../net/uploads.js").Item} Item */

const SHOWN = 60;

export class UploadDock extends View {
  start() {
    this.className = "dock";
    this.listen(uploads, "change", () => this.draw());
    this.listen(spoken, "change", () => this.draw());
    this.draw();
  }

  draw() {
    const had = new Map([...this.querySelectorAll("sivr-upload-card")].map((card) => [/** @type {UploadCard} */ (card).batch, card]));
    fill(this, uploads.batches.map((batch) => {
      const old = had.get(batch);
      if (old) return old;
      const card = /** @type {UploadCard} */ (document.createElement("sivr-upload-card"));
      card.batch = batch;
      return card;
    }));
  }
}

/** What became of a finished upload. @param {Batch} batch @returns {"" | "nothing" | "some" | "all"} */
function outcome(batch) {
  if (batch.state !== "done" || !batch.results.length) return "";
  const refused = batch.count("refused");
  if (!refused) return "all";
  return refused === batch.results.length ? "nothing" : "some";
}

/** @param {Batch} batch */
function heading(batch) {
  const institution = batch.institution.name;
  const kind = outcome(batch);
  if (kind === "nothing") return t("upload.outcome.nothing", { institution });
  if (kind !== "some") return t(`upload.state.${batch.state}`, { institution });
  const stored = batch.results.length - batch.count("refused");
  return `${institution}: ${t("upload.stored", { count: stored })}, ${t("upload.refused", { count: batch.count("refused") })}`;
}

export class UploadCard extends View {
  /** @type {Batch | null} */
  batch = null;
  #open = true;
  #title = h("strong", {});
  #facts = h("span", { class: "facts" });
  #bar = h("progress", { max: 1, value: 0 });
  #list = h("ul", { class: "upload-files" });
  #button = h("button", { type: "button", class: "quiet small" });
  #fold = h("button", { type: "button", class: "plain icon-only" }, icon("menu"));
  /** @type {Map<Item, {row: HTMLElement, bar: HTMLProgressElement, note: HTMLElement, state: string}>} */
  #rows = new Map();

  start() {
    const batch = /** @type {Batch} */ (this.batch);
    this.className = "upload-card";
    const draw = perFrame(() => this.isConnected && this.draw());
    this.listen(batch, "change", draw);
    this.#button.onclick = async () => {
      if (batch.finished) uploads.dismiss(batch);
      else if (await confirmed(t("upload.cancel"), t("upload.cancel.question"), t("upload.cancel"))) batch.cancel();
    };
    this.#fold.onclick = () => {
      this.#open = !this.#open;
      this.draw();
    };
    this.#bar.setAttribute("aria-label", t("upload.total"));
    fill(this,
      h("div", { class: "upload-head" }, h("div", {}, this.#title, this.#facts), this.#fold, this.#button),
      this.#bar, this.#list);
    this.draw();
  }

  draw() {
    const batch = /** @type {Batch} */ (this.batch);
    const total = batch.total_bytes || 1;
    const sent = batch.sent_bytes;
    this.dataset.state = batch.state;
    this.#fold.setAttribute("aria-label", t(this.#open ? "upload.fold" : "upload.unfold"));
    this.#fold.setAttribute("aria-expanded", String(this.#open));
    this.dataset.outcome = outcome(batch);
    setText(this.#title, heading(batch));
    setText(this.#button, batch.finished ? t("close") : t("cancel"));
    if (batch.state === "indexing") this.#bar.removeAttribute("value");
    else this.#bar.value = batch.state === "done" ? (outcome(batch) === "nothing" ? 0 : 1) : sent / total;
    setText(this.#facts, this.#sentence(batch, sent, total));
    this.#list.hidden = !this.#open;
    if (this.#open) this.#drawList(batch);
  }

  /** @param {Batch} batch @param {number} sent @param {number} total */
  #sentence(batch, sent, total) {
    const parts = [];
    const stored = batch.count("stored");
    const again = batch.count("duplicate");
    const refused = batch.count("refused");
    if (batch.state === "waiting" || batch.state === "failed") parts.push(batch.reason);
    if (batch.state === "sending") {
      parts.push(t("upload.progress", { sent: size(sent), total: size(total) }));
      const speed = batch.speed_bytes_s;
      if (speed > 0) parts.push(t("upload.speed", { speed: size(speed), left: duration((total - sent) / speed) }));
    }
    if (stored) parts.push(t("upload.stored", { count: stored }));
    if (again) parts.push(t("upload.duplicates", { count: again }));
    if (refused) parts.push(t("upload.refused", { count: refused }));
    return parts.join(" · ");
  }

  /** @param {Batch} batch */
  #drawList(batch) {
    /** @param {Item} item */
    const rank = (item) => {
      if (item.state === "sending" || item.state === "checking") return 0;
      if (item.state === "failed" || item.result?.status === "refused") return 1;
      if (item.result?.members?.some((one) => one.status === "refused")) return 1;
      if (item.result?.status === "duplicate") return 2;
      return item.state === "waiting" ? 3 : 4;
    };
    const ordered = batch.items.map((item) => ({ item, rank: rank(item) })).sort((a, b) => a.rank - b.rank);
    // Whatever went wrong is always listed by name, however long the list becomes.
    const wrong = ordered.filter((one) => one.rank <= 1).length;
    const chosen = ordered.slice(0, Math.max(SHOWN, wrong)).map(({ item }) => item);
    const keep = new Set(chosen);
    for (const [item, { row }] of this.#rows) {
      if (keep.has(item)) continue;
      row.remove();
      this.#rows.delete(item);
    }
    chosen.forEach((item, index) => {
      const known = this.#rows.get(item) ?? this.#makeRow(item);
      if (this.#list.children[index] !== known.row) this.#list.insertBefore(known.row, this.#list.children[index] ?? null);
      this.#drawRow(item, known);
    });
    const hidden = ordered.length - chosen.length;
    let more = this.querySelector(".upload-more");
    if (hidden > 0) {
      if (!more) {
        more = h("p", { class: "upload-more hint" });
        this.append(more);
      }
      setText(more, t("upload.more", { count: hidden }));
    } else more?.remove();
  }

  /** @param {Item} item */
  #makeRow(item) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": item.path });
    const note = h("span", { class: "note" });
    const row = h("li", {}, h("span", { class: "name", title: item.path }, item.path), bar, note);
    const made = { row, bar, note, state: "" };
    this.#rows.set(item, made);
    return made;
  }

  /** @param {Item} item @param {{row: HTMLElement, bar: HTMLProgressElement, note: HTMLElement, state: string}} drawn */
  #drawRow(item, drawn) {
    drawn.bar.value = item.file.size ? item.sent / item.file.size : item.state === "done" ? 1 : 0;
    const state = item.state === "done" ? item.result?.status ?? "stored" : item.state;
    if (state === drawn.state) return;
    drawn.state = state;
    drawn.row.dataset.state = state;
    drawn.bar.hidden = item.state === "done" || item.state === "failed";
    const reason = item.result?.reason || item.reason;
    setText(drawn.note, reason && state !== "stored" ? `${t(`upload.file.${state}`)}: ${reason}` : t(`upload.file.${state}`));
    if (item.result?.warnings?.length && state === "stored") setText(drawn.note, `${t("upload.file.stored")}: ${item.result.warnings[0]}`);
    for (const member of item.result?.members ?? []) {
      if (member.status !== "refused") continue;
      drawn.row.append(h("span", { class: "member" }, `${member.name}: ${member.reason}`));
    }
  }
}
customElements.define("sivr-upload-dock", UploadDock);
customElements.define("sivr-upload-card", UploadCard);
