// @ts-check
/** Where files, folders and archives are chosen or dropped for one patient. */
import { fill, h } from "../lib/dom.js";
import { fromDrop, fromPicker } from "../lib/files.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { session } from "../net/session.js";
import { uploads } from "../net/uploads.js";
import { t } from "../model/language.js";
import { notice } from "./dialog.js";

export class UploadPanel extends View {
  /** @type {import("../model/types.js").Institution[]} */
  institutions = [];
  /** @type {import("../model/types.js").Patient | null} */
  patient = null;

  start() {
    this.className = "upload-panel";
    const own = this.institutions.filter((one) => one.active && session.user?.institutions.includes(one.id));
    if (!own.length) {
      fill(this, h("p", { class: "hint" }, t("upload.nowhere")));
      return;
    }
    const where = h("select", { "aria-label": t("upload.where") }, own.map((one) => h("option", { value: one.id }, one.name)));
    /** @param {import("../lib/files.js").NamedFile[]} files */
    const take = (files) => {
      const institution = own.find((one) => one.id === where.value);
      if (!institution || !this.patient) return;
      if (!files.length) notice(t("upload.nothing"), "bad");
      else uploads.start(files, institution, this.patient);
    };
    /** @param {string} label @param {string} sign @param {Record<string, any>} attributes */
    const picker = (label, sign, attributes) => {
      const input = h("input", { type: "file", multiple: true, class: "unseen", ...attributes, onchange: () => {
        take(fromPicker(/** @type {FileList} */ (input.files)));
        input.value = "";
      } });
      return h("label", { class: "button" }, input, icon(sign), label);
    };
    const zone = h("div", { class: "drop" },
      icon("upload"),
      h("p", {}, t("upload.drop")),
      h("div", { class: "choices" },
        picker(t("upload.files"), "file", { "data-pick": "files" }),
        picker(t("upload.folder"), "folder", { webkitdirectory: true, "data-pick": "folder" })),
      h("div", { class: "to" }, h("span", {}, own.length > 1 ? t("upload.to") : t("upload.to.one", { institution: own[0].name })), own.length > 1 && where),
      h("p", { class: "hint" }, t("upload.hint")));
    let depth = 0;
    zone.addEventListener("dragenter", (event) => {
      event.preventDefault();
      depth += 1;
      zone.classList.add("over");
    });
    zone.addEventListener("dragover", (event) => event.preventDefault());
    zone.addEventListener("dragleave", () => {
      depth -= 1;
      if (!depth) zone.classList.remove("over");
    });
    zone.addEventListener("drop", async (event) => {
      event.preventDefault();
      depth = 0;
      zone.classList.remove("over");
      if (event.dataTransfer) take(await fromDrop(event.dataTransfer).catch(() => []));
    });
    fill(this, zone);
  }
}
customElements.define("sivr-upload-panel", UploadPanel);
