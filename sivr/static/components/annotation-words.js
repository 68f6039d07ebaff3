// @ts-check
/** The dialog that asks for the words of an annotation. */
import { t } from "../model/language.js";
import { openDialog } from "./dialog.js";
import { form } from "./form.js";

/**
 * Ask for the words of an annotation.
 * @param {string} kind @param {{name?: string, text?: string}} values @param {{needed?: boolean, named?: boolean}} how
 * @param {(words: {name: string, text: string}) => void} keep
 */
export function askWords(kind, values, how, keep) {
  /** @type {any[]} */
  const fields = [{ name: "text", label: t("measure.words"), type: "textarea", required: !!how.needed, rows: 3 }];
  if (how.named) fields.unshift({ name: "name", label: t("measure.words.name"), type: "text" });
  const { close } = openDialog(t(`kind.${kind}`), [form({
    fields, values, submit: t("save"), oncancel: () => close(),
    onsubmit: async (words) => {
      close();
      keep({ name: String(words.name ?? values.name ?? "").slice(0, 120), text: String(words.text ?? "").slice(0, 4000) });
    },
  })]);
  requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector("dialog textarea"))?.focus());
}
