// @ts-check
/** The frame around the pages: name, navigation, connection, uploads under way, the user. */
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { link } from "../net/http.js";
import { session } from "../net/session.js";
import { changeMe } from "../net/toplevel.js";
import { LANGUAGES, spoken, t } from "../model/language.js";
import "./upload-dock.js";

/** @param {string} language kept in the profile too, when somebody is logged in */
function choose(language) {
  spoken.set(language, true);
  if (session.user && session.user.language !== language) {
    changeMe({ language: /** @type {"en" | "hr"} */ (language) }).then((user) => session.keep(user)).catch(() => {});
  }
}

export class Shell extends View {
  main = h("main", { id: "main", tabindex: "-1" });
  #top = h("header", { class: "top" });
  #offline = h("div", { class: "offline", role: "status", hidden: true });

  start() {
    fill(this, this.#top, this.#offline, this.main, document.createElement("sivr-upload-dock"));
    for (const event of ["opened", "changed", "closed"]) this.listen(session, event, () => this.draw());
    this.listen(spoken, "change", () => this.draw());
    this.listen(link, "change", () => this.#line());
    this.listen(window, "hashchange", () => this.draw());
    this.listen(document, "click", (event) => {
      for (const open of document.querySelectorAll("details.menu[open]")) {
        if (!open.contains(event.target) || event.target.closest("details.menu > div a, details.menu > div button")) open.removeAttribute("open");
      }
    });
    this.draw();
    this.#line();
  }

  #line() {
    this.#offline.hidden = link.online;
    fill(this.#offline, icon("warning"), t("offline"));
  }

  draw() {
    const { user } = session;
    const at = location.hash;
    /** @param {string} where @param {string} label @param {string} sign */
    const way = (where, label, sign) =>
      h("a", { href: where, class: "way", "aria-current": at.startsWith(where) ? "page" : undefined }, icon(sign), h("span", {}, label));
    const ready = user && !session.mustChangePassword;
    fill(this.#top,
      h("a", { class: "brand", href: "#/patients", "aria-label": "SIVR" }, h("span", { class: "mark", "aria-hidden": "true" }), "SIVR"),
      h("nav", { "aria-label": t("nav") },
        ready && user.roles.includes("physician") && way("#/patients", t("nav.patients"), "patients"),
        ready && user.roles.includes("administrator") && way("#/administration", t("nav.administration"), "settings")),
      user ? this.#userMenu(user) : this.#languageChoice());
  }

  #languageChoice() {
    return h("div", { class: "languages", role: "group", "aria-label": t("language") },
      Object.entries(LANGUAGES).map(([key, name]) =>
        h("button", { type: "button", class: "plain", lang: key, "aria-pressed": String(spoken.now === key), onclick: () => choose(key) }, name)));
  }

  /** @param {import("../model/types.js").User} user */
  #userMenu(user) {
    return h("details", { class: "menu user" },
      h("summary", { "aria-label": t("nav.user", { name: user.name }) }, icon("user"), h("span", {}, user.name)),
      h("div", { class: "sheet" },
        !session.mustChangePassword && h("a", { href: "#/profile" }, icon("user"), t("nav.profile")),
        this.#languageChoice(),
        h("button", { type: "button", class: "plain", onclick: () => session.logOut() }, icon("logout"), t("nav.logout"))));
  }
}
customElements.define("sivr-shell", Shell);
