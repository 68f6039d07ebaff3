// @ts-check
/** Findings of one study: read, add, edit one's own, see how each came to be. */
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { Problem, asProblem } from "../net/http.js";
import { session } from "../net/session.js";
import { moment, t } from "../model/language.js";
import { openDialog } from "./dialog.js";
import { form } from "./form.js";
import { empty, loading, trouble } from "./states.js";

/** @typedef {import("../model/types.js").Finding} Finding */

/**
 * What was typed and not yet saved, by study: a closed panel loses nothing. The id goes along however often the text is
 * sent, so that a lost answer does not make two findings of one.
 * @type {Map<string, {text: string, id: string}>}
 */
const drafts = new Map();
session.addEventListener("closed", () => drafts.clear());

export class Findings extends View {
  /** @type {import("../net/institution.js").Institution | null} */
  institution = null;
  study = "";
  #list = h("div", { class: "finding-list" });

  start() {
    this.className = "findings";
    fill(this, this.#list, session.user?.roles.includes("physician") && this.#entry());
    this.#load();
  }

  async #load() {
    fill(this.#list, loading());
    try {
      const { items } = await this.#at().findings(this.study);
      this.#draw(items);
    } catch (error) {
      fill(this.#list, trouble(asProblem(error).message, () => this.#load()));
    }
  }

  #at() {
    return /** @type {import("../net/institution.js").Institution} */ (this.institution);
  }

  /** @param {Finding[]} items */
  #draw(items) {
    this.dispatchEvent(new CustomEvent("count", { detail: items.length }));
    fill(this.#list, items.length ? items.map((finding) => this.#one(finding)) : empty(t("finding.none")));
  }

  /** @param {Finding} finding @returns {HTMLElement} */
  #one(finding) {
    const mine = finding.author.id === session.user?.id;
    const edited = finding.version > 1;
    const element = h("article", { class: "finding" },
      h("p", { class: "finding-text" }, finding.text),
      h("footer", {},
        h("span", {}, `${finding.author.name} · ${moment(finding.created_at)}`, edited && ` · ${t("finding.edited", { time: moment(finding.updated_at) })}`),
        edited && h("button", { type: "button", class: "plain small", onclick: () => this.#history(finding) }, icon("history"), t("finding.history")),
        mine && h("button", { type: "button", class: "plain small", onclick: () => element.replaceWith(this.#editor(finding)) }, icon("edit"), t("edit"))));
    return element;
  }

  /** @param {Finding} finding @returns {HTMLElement} */
  #editor(finding) {
    const editor = form({
      fields: [{ name: "text", label: t("finding.text"), type: "textarea", required: true, rows: 5 }],
      values: finding,
      submit: t("save"),
      oncancel: () => editor.replaceWith(this.#one(finding)),
      onsubmit: async ({ text }) => {
        try {
          editor.replaceWith(this.#one(await this.#at().changeFinding(finding, text)));
        } catch (error) {
          // The text stays in the form; only the reason is said in our words.
          if (asProblem(error).status === 409) throw new Problem(t("finding.conflict"), { status: 409 });
          throw error;
        }
      },
    });
    requestAnimationFrame(() => editor.querySelector("textarea")?.focus());
    return editor;
  }

  #entry() {
    const entry = form({
      fields: [{ name: "text", label: t("finding.new"), type: "textarea", required: true, rows: 4 }],
      values: { text: drafts.get(this.study)?.text },
      submit: t("finding.add"),
      className: "finding-entry",
      onsubmit: async ({ text }, element) => {
        const { id } = this.#draft(text);
        try {
          await this.#at().addFinding(this.study, text, id);
        } catch (error) {
          if (asProblem(error).status !== 409) throw error;
          // An earlier text came through although its answer did not; what stands here now is another finding.
          drafts.delete(this.study);
          this.#draft(text);
          await this.#load();
          throw new Problem(t("finding.stored"), { status: 409 });
        }
        drafts.delete(this.study);
        element.reset();
        await this.#load();
      },
    });
    entry.addEventListener("input", () => this.#draft(entry.querySelector("textarea")?.value ?? ""));
    return entry;
  }

  /** The draft of this study, now with this text. @param {string} text */
  #draft(text) {
    const draft = { text, id: drafts.get(this.study)?.id ?? crypto.randomUUID() };
    drafts.set(this.study, draft);
    return draft;
  }

  /** @param {Finding} finding */
  async #history(finding) {
    const body = h("div", {}, loading());
    openDialog(t("finding.history"), [body], { wide: true });
    try {
      const { items } = await this.#at().findingHistory(finding);
      fill(body, items.map((one) => h("article", { class: "finding" },
        h("p", { class: "finding-text" }, one.text),
        h("footer", {}, h("span", {}, `${t("finding.version", { count: one.version })} · ${moment(one.updated_at ?? one.at ?? one.created_at)}`)))));
    } catch (error) {
      fill(body, trouble(asProblem(error).message));
    }
  }
}
customElements.define("sivr-findings", Findings);
