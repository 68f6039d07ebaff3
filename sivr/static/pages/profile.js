// @ts-check
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { session } from "../net/session.js";
import { changeMe, institutions } from "../net/toplevel.js";
import { LANGUAGES, spoken, t } from "../model/language.js";
import { notice } from "../components/dialog.js";
import { changes, form } from "../components/form.js";
import "../components/password-form.js";

/** Everybody's own data and password. */
export class ProfilePage extends View {
  async start() {
    this.className = "page";
    document.title = `${t("nav.profile")} · SIVR`;
    const user = session.user;
    if (!user) return;
    const own = form({
      fields: [
        { name: "name", label: t("user.name"), required: true, autocomplete: "name" },
        { name: "email", label: t("email"), type: "email", autocomplete: "email" },
        { name: "phone", label: t("phone"), type: "tel", autocomplete: "tel" },
        { name: "language", label: t("language"), type: "select", options: Object.entries(LANGUAGES) },
      ],
      values: user,
      submit: t("save"),
      onsubmit: async (typed) => {
        const changed = changes(user, typed);
        if (Object.keys(changed).length) session.keep(await changeMe(changed));
        notice(t("saved"));
        spoken.set(typed.language);
      },
    });
    const password = document.createElement("sivr-password-form");
    password.addEventListener("done", () => notice(t("password.changed")));
    const belongs = h("dd", {}, "…");
    fill(this,
      h("h1", {}, t("nav.profile")),
      h("div", { class: "two" },
        h("section", { class: "card" }, h("h2", {}, t("profile.own")),
          h("dl", { class: "facts-list" },
            h("div", {}, h("dt", {}, t("login.login")), h("dd", {}, user.login)),
            h("div", {}, h("dt", {}, t("user.roles")), h("dd", {}, user.roles.map((role) => t(`role.${role}`)).join(", ") || t("none"))),
            h("div", {}, h("dt", {}, t("user.institutions")), belongs)),
          own),
        h("section", { class: "card" }, h("h2", {}, t("password.title")), h("p", { class: "hint" }, t("password.ends")), password)));
    const all = await institutions().catch(() => []);
    belongs.textContent = user.institutions.map((id) => all.find((one) => one.id === id)?.name ?? id).join(", ") || t("none");
  }
}
customElements.define("sivr-profile-page", ProfilePage);
