// @ts-check
/** Modal dialogs on the browser's own <dialog>, and short notices. */
import { fill, h, uniqueId } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { t } from "../model/language.js";

/**
 * Open a dialog; it leaves the page when closed.
 * @param {string} title @param {Node[]} body
 * @param {{wide?: boolean, closable?: boolean, onclose?: () => void}} [how]
 * @returns {{dialog: HTMLDialogElement, close: () => void}}
 */
export function openDialog(title, body, how = {}) {
  const { wide = false, closable = true, onclose } = how;
  const heading = uniqueId("title");
  const dialog = h("dialog", { class: wide ? "dialog wide" : "dialog", "aria-labelledby": heading });
  const close = () => dialog.close();
  fill(
    dialog,
    h("header", { class: "dialog-head" },
      h("h2", { id: heading }, title),
      closable && h("button", { class: "plain icon-only", type: "button", "aria-label": t("close"), onclick: close }, icon("close")),
    ),
    h("div", { class: "dialog-body" }, body),
  );
  dialog.addEventListener("cancel", (event) => {
    if (!closable) event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose?.();
  });
  // A click on the backdrop has the dialog itself as its target and lies outside of its box.
  dialog.addEventListener("mousedown", (event) => {
    if (event.target !== dialog || !closable || dialog.querySelector("form")) return;
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, close };
}

/**
 * Ask before something that cannot be taken back.
 * @param {string} title @param {string} question @param {string} yes
 * @returns {Promise<boolean>}
 */
export function confirmed(title, question, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const agree = () => {
      answer = true;
      close();
    };
    const { close } = openDialog(title, [
      h("p", {}, question),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "quiet", onclick: () => close() }, t("cancel")),
        h("button", { type: "button", class: "danger", onclick: agree }, yes),
      ),
    ], { onclose: () => resolve(answer) });
  });
}

/** @type {HTMLElement | null} */
let notices = null;

/**
 * Say something for a few seconds.
 * @param {string} text @param {"good" | "bad"} [kind]
 */
export function notice(text, kind = "good") {
  if (!notices?.isConnected) {
    notices = h("div", { class: "notices", role: "status", "aria-live": "polite" });
    document.body.append(notices);
  }
  const line = h("div", { class: `notice ${kind}` }, icon(kind === "good" ? "check" : "warning"), text);
  notices.append(line);
  setTimeout(() => line.remove(), kind === "good" ? 4000 : 9000);
}
