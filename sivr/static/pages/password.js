// @ts-check
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { t } from "../model/language.js";
import "../components/password-form.js";

/** The password must be changed before anything else. Fires "done". */
export class PasswordPage extends View {
  start() {
    this.className = "page center";
    const form = document.createElement("sivr-password-form");
    form.addEventListener("done", () => this.dispatchEvent(new Event("done")));
    fill(this, h("section", { class: "card login" }, h("h1", {}, t("password.title")), h("p", {}, t("password.must")), form));
    document.title = `${t("password.title")} · SIVR`;
  }
}
customElements.define("sivr-password-page", PasswordPage);
