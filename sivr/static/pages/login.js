// @ts-check
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { t } from "../model/language.js";
import "../components/login-form.js";

/** Log in. */
export class LoginPage extends View {
  start() {
    this.className = "page center";
    fill(this, h("section", { class: "card login" },
      h("div", { class: "login-head" }, h("span", { class: "mark large", "aria-hidden": "true" }), h("h1", {}, "SIVR"), h("p", { class: "hint" }, t("login.about"))),
      document.createElement("sivr-login-form")));
    document.title = `${t("login.title")} · SIVR`;
  }
}
customElements.define("sivr-login-page", LoginPage);
