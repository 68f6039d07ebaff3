// @ts-check
/** Log in, on its own page or in a dialog over the page when a session was lost. */
import { fill, h } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { session } from "../net/session.js";
import { duration, t } from "../model/language.js";
import { form, tell } from "./form.js";

export class LoginForm extends View {
  #timer = 0;

  start() {
    const many = session.toplevels.length > 1;
    const element = form({
      fields: [
        ...(many ? [/** @type {import("./form.js").Field} */ ({
          name: "toplevel", label: t("login.toplevel"), type: "select", wide: true,
          options: /** @type {[string, string][]} */ (session.toplevels.map((one) => [one.id, one.name])),
        })] : []),
        { name: "login", label: t("login.login"), required: true, autocomplete: "username", autofocus: true, wide: true },
        { name: "password", label: t("login.password"), type: "password", required: true, autocomplete: "current-password", wide: true },
      ],
      values: { toplevel: session.toplevel?.id, login: session.user?.login },
      submit: t("login.submit"),
      className: "narrow",
      onsubmit: async ({ toplevel, login, password }) => {
        await session.logIn(toplevel ?? "", login, password);
        this.dispatchEvent(new Event("done"));
      },
      onproblem: (problem, place) => {
        const field = /** @type {HTMLInputElement} */ (element.querySelector("[name=password]"));
        field.select();
        field.focus();
        const left_s = Number(problem.details.retry_after_s);
        if (problem.status === 429 && left_s > 0) this.#countDown(place, left_s, /** @type {HTMLButtonElement} */ (element.querySelector("[type=submit]")));
        else if (problem.status === 401) tell(place, t("login.refused"));
        else tell(place, problem.message);
        return true;
      },
    });
    fill(this, element);
    const first = /** @type {HTMLElement | null} */ (element.querySelector("[name=login]"));
    requestAnimationFrame(() => first?.focus());
  }

  /** @param {HTMLElement} place @param {number} left_s @param {HTMLButtonElement} button */
  #countDown(place, left_s, button) {
    const until = Date.now() + left_s * 1000;
    button.dataset.locked = "yes";
    button.disabled = true;
    clearInterval(this.#timer);
    const show = () => {
      const rest_s = (until - Date.now()) / 1000;
      if (rest_s > 0) {
        tell(place, t("login.locked", { time: duration(rest_s) }));
        return;
      }
      clearInterval(this.#timer);
      delete button.dataset.locked;
      button.disabled = false;
      place.hidden = true;
    };
    show();
    this.#timer = window.setInterval(show, 500);
  }

  stop() {
    clearInterval(this.#timer);
  }
}
customElements.define("sivr-login-form", LoginForm);
