// @ts-check
/** Change of one's own password. */
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { Problem } from "../net/http.js";
import { session } from "../net/session.js";
import { changePassword } from "../net/toplevel.js";
import { t } from "../model/language.js";
import { form } from "./form.js";

/** Fires "done". */
export class PasswordForm extends View {
  start() {
    fill(this, form({
      fields: [
        { name: "current", label: t("password.current"), type: "password", required: true, autocomplete: "current-password", wide: true },
        { name: "next", label: t("password.new"), type: "password", required: true, autocomplete: "new-password", wide: true, hint: t("password.hint") },
        { name: "again", label: t("password.again"), type: "password", required: true, autocomplete: "new-password", wide: true },
      ],
      submit: t("password.submit"),
      className: "narrow",
      onsubmit: async ({ current, next, again }, element) => {
        if (next !== again) throw new Problem(t("password.differ"));
        await changePassword(current, next);
        element.reset();
        // The server ended every other session; this one goes on with a fresh token.
        await session.renew().catch(() => {});
        session.mustChangePassword = false;
        this.dispatchEvent(new Event("done"));
      },
    }));
    this.prepend(h("input", { type: "text", autocomplete: "username", value: session.user?.login ?? "", hidden: true }));
  }
}
customElements.define("sivr-password-form", PasswordForm);
