// @ts-check
/** A movie of the frames that are played, made by the node. */
import { fill, h, setText } from "../lib/dom.js";
import { t } from "../model/language.js";
import { lookQuery } from "../model/look.js";
import { parameter } from "../model/windows.js";
import { asProblem } from "../net/http.js";
import { movieFile } from "../net/frames.js";
import { viewKey } from "../tools/stack-reader.js";
import { notice, openDialog } from "./dialog.js";

/** @typedef {import("./stack-view.js").StackView} StackView */

const SIDE_PX = 1024;

/** @param {Blob} blob @param {string} name */
function download(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** @param {StackView} view */
export function openMovieDialog(view) {
  const { node, series, reader, cine } = view;
  if (!node || !series || !reader || !cine) return;
  view.play(false);
  const count = series.frames.length;
  const field = (/** @type {string} */ label, /** @type {string} */ name, /** @type {Record<string, any>} */ more) => {
    const input = h("input", { type: "number", name, required: true, ...more });
    return { input, label: h("label", {}, label, input) };
  };
  const first = field(t("movie.first"), "first", { min: 1, max: count, step: 1, value: String(cine.first + 1) });
  const last = field(t("movie.last"), "last", { min: 1, max: count, step: 1, value: String(cine.last + 1) });
  const rate = field(t("cine.rate"), "fps", { min: 0.5, max: 60, step: "any", value: String(Math.round(cine.rate * 10) / 10) });
  const format = h("select", { name: "format" }, h("option", { value: "video/mp4" }, "MP4 (AV1)"), h("option", { value: "image/webp" }, "WebP"));
  const bar = h("progress", { max: 1, value: 0, hidden: true });
  const told = h("p", { class: "hint", role: "status" });
  const make = h("button", { type: "submit", class: "primary" }, t("movie.make"));
  const cancel = h("button", { type: "button", class: "quiet" }, t("cancel"));
  const controller = new AbortController();
  const form = h("form", { class: "movie-form" },
    h("p", { class: "hint" }, t("movie.about")),
    h("div", { class: "movie-fields" }, first.label, last.label, rate.label, h("label", {}, t("movie.format"), format)),
    bar, told, h("div", { class: "actions" }, cancel, make));
  const { close } = openDialog(t("movie"), [form], { onclose: () => controller.abort() });
  cancel.addEventListener("click", close);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    make.disabled = true;
    bar.hidden = false;
    const side = Math.min(SIDE_PX, Math.max(series.columns, series.rows) * 2);
    const query = [
      `frames=${Math.min(Number(first.input.value), Number(last.input.value))}-${Math.max(Number(first.input.value), Number(last.input.value))}`,
      `fps=${rate.input.value}`, `accept=${format.value}`, `viewport=${side},${side}`, ...lookQuery(view.look, !!series.color),
      ...(reader.window && !series.color ? [`window=${parameter(reader.window)}`] : []), ...(reader.inverted ? ["invert=yes"] : []),
    ];
    const progress = (/** @type {number} */ done, /** @type {number} */ total) => {
      bar.max = total;
      bar.value = done;
      setText(told, t("movie.progress", { done, total }));
    };
    try {
      const blob = await movieFile(node, view.study, series.series_uid, query, viewKey("movie"), progress, controller.signal);
      download(blob, `${[series.modality, series.number].filter((part) => part !== null).join("-") || "cine"}.${format.value === "video/mp4" ? "mp4" : "webp"}`);
      close();
      notice(t("movie.saved"));
    } catch (error) {
      const problem = asProblem(error);
      if (problem.canceled) return;
      make.disabled = false;
      bar.hidden = true;
      fill(told, t("movie.failed", { reason: problem.message }));
    }
  });
}
