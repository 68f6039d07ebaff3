// @ts-check
/** Every element of the object on the screen, to be searched. */
import { fill, h, setText } from "../lib/dom.js";
import { size, t } from "../model/language.js";
import { asProblem } from "../net/http.js";
import { tags } from "../net/frames.js";
import { openDialog } from "./dialog.js";
import { loading, trouble } from "./states.js";

/** @typedef {import("../net/frames.js").TagRow} TagRow */
/** @typedef {{row: TagRow | null, depth: number, text: string, item: string}} Line */

const MOST = 1000;

/** @param {TagRow[]} rows @param {number} depth @param {Line[]} lines */
function flatten(rows, depth, lines) {
  for (const row of rows) {
    lines.push({ row, depth, item: "", text: `${row.tag} ${row.tag.slice(0, 4)},${row.tag.slice(4)} ${row.keyword ?? ""} ${row.name ?? ""} ${row.creator ?? ""} ${row.value ?? ""}`.toLowerCase() });
    (row.items ?? []).forEach((items, index) => {
      const item = t("tags.item", { number: (row.first_item ?? 1) + index, total: row.items_total ?? 0 });
      lines.push({ row: null, depth: depth + 1, item, text: "" });
      flatten(items, depth + 1, lines);
    });
  }
  return lines;
}

/** @param {Line} line */
function drawn({ row, depth, item }) {
  const indent = `depth-${Math.min(depth, 6)}`;
  if (!row) return h("tr", { class: `tag-item ${indent}` }, h("td", { colspan: 4 }, item));
  const value = row.length ? t("tags.bytes", { size: size(row.length) }) : (row.value ?? "") + (row.shortened ? "…" : "");
  return h("tr", { class: indent, "data-tag": row.tag },
    h("td", { class: "tag-number" }, `(${row.tag.slice(0, 4)},${row.tag.slice(4)})`), h("td", { class: "tag-vr" }, row.vr),
    h("td", { class: "tag-name" }, row.name || "—", row.creator && h("span", { class: "hint" }, ` ${row.creator}`)),
    h("td", { class: row.length ? "tag-value hint" : "tag-value" }, value));
}

/** @param {import("./stack-view.js").StackView} view */
export function openTagTable(view) {
  const { node, series, reader } = view;
  if (!node || !series || !reader) return;
  const { frame } = reader;
  const search = h("input", { type: "text", inputmode: "search", class: "tag-search", "aria-label": t("tags.search"), placeholder: t("tags.search"), autofocus: true });
  const count = h("p", { class: "hint", role: "status" });
  const body = h("tbody", {});
  const table = h("div", { class: "tag-scroll", tabindex: 0 }, h("table", { class: "tag-table" },
    h("thead", {}, h("tr", {}, [t("tags.tag"), "VR", t("tags.name"), t("tags.value")].map((name) => h("th", { scope: "col" }, name)))), body));
  const stage = h("div", {}, loading());
  /** @type {Line[]} */
  let lines = [];
  let complete = true;
  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length ? lines.filter((line) => line.row && words.every((word) => line.text.includes(word))) : lines;
    fill(body, found.slice(0, MOST).map(drawn));
    const more = found.length > MOST || !complete ? ` ${t("tags.more")}` : "";
    setText(count, t("tags.count", { count: found.filter((line) => line.row).length }) + more);
  };
  search.addEventListener("input", draw);
  const load = async () => {
    fill(stage, loading());
    try {
      const answer = await tags(node, view.study, series.series_uid, frame);
      lines = flatten(answer.rows, 0, []);
      complete = answer.complete;
      fill(stage, table);
      draw();
    } catch (error) {
      fill(stage, trouble(asProblem(error).message, load));
    }
  };
  openDialog(t("tags"), [h("div", { class: "tag-head" }, search, count), stage], { wide: true }).dialog.classList.add("tags");
  search.focus();
  load();
}
