// @ts-check
/** Pictures that leave the page: as a file, into the clipboard, onto paper. */
import { h } from "../lib/dom.js";
import { t } from "../model/language.js";
import { asProblem } from "../net/http.js";
import { pictureFile } from "../net/frames.js";
import { notice } from "./dialog.js";

/** @typedef {import("./stack-view.js").StackView} StackView */

const LEAST_SIDE_PX = 1600;
const INK = "#dbe6ee";
const PAINTED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "paint-order"];

/** @param {Blob} blob @param {string} name */
function download(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Never a name: files lie about in folders. @param {StackView} view @param {string} suffix */
function fileName(view, suffix) {
  const { series, reader } = view;
  return `${[series?.modality, series?.number, reader ? reader.index + 1 : ""].filter((part) => part !== "" && part !== null && part !== undefined).join("-") || "picture"}.${suffix}`;
}

/** @param {Blob} blob @returns {Promise<HTMLImageElement>} */
async function imageOf(blob) {
  const address = URL.createObjectURL(blob);
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(address);
  }
  return image;
}

/** What is drawn over the picture, with the looks that styles give it on the page. @param {StackView} view @returns {Promise<HTMLImageElement | null>} */
async function drawings(view) {
  if (!view.layer.childElementCount) return null;
  const copy = /** @type {SVGElement} */ (view.layer.cloneNode(true));
  const from = view.layer.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((element, index) => {
    const looks = getComputedStyle(from[index]);
    for (const name of PAINTED) element.setAttribute(name, looks.getPropertyValue(name));
  });
  for (const [name, value] of [["width", view.width], ["height", view.height], ["xmlns", "http://www.w3.org/2000/svg"]]) copy.setAttribute(String(name), String(value));
  return imageOf(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
}

/** @param {CanvasRenderingContext2D} drawing @param {string} text @param {number} x @param {number} y @param {CanvasTextAlign} align */
function written(drawing, text, x, y, align) {
  drawing.textAlign = align;
  drawing.strokeText(text, x, y);
  drawing.fillText(text, x, y);
}

/** Corners, letters and scale bar as they stand on the page. @param {CanvasRenderingContext2D} drawing @param {StackView} view */
function texts(drawing, view) {
  const box = view.getBoundingClientRect();
  Object.assign(drawing, { fillStyle: INK, strokeStyle: "#000", lineWidth: 3, lineJoin: "round", textBaseline: "middle" });
  for (const element of view.querySelectorAll(".corner > *, .letter, .scale > span")) {
    const own = element.getBoundingClientRect();
    const text = element.textContent ?? "";
    if (!text || !own.width) continue;
    const looks = getComputedStyle(element);
    drawing.font = `${looks.fontWeight} ${looks.fontSize} ${looks.fontFamily}`;
    const middle = own.top - box.top + own.height / 2;
    if (element.parentElement?.matches(".tr, .br")) written(drawing, text, own.right - box.left, middle, "right");
    else if (element.matches(".corner > *")) written(drawing, text, own.left - box.left, middle, "left");
    else written(drawing, text, own.left - box.left + own.width / 2, middle, "center");
  }
  const bar = view.querySelector(".scale:not([hidden]) > i")?.getBoundingClientRect();
  if (bar) {
    drawing.fillRect(bar.left - box.left, bar.bottom - box.top - 2, bar.width, 2);
    for (const x of [bar.left, bar.right - 2]) drawing.fillRect(x - box.left, bar.bottom - box.top - 6, 2, 6);
  }
}

/** What is in view, from the exact picture, with everything written and drawn over it. @param {StackView} view @returns {Promise<Blob>} */
async function asSeen(view) {
  const { reader, node } = view;
  if (!reader || !node) throw new Error("nothing is shown");
  const exact = await createImageBitmap(await pictureFile(node, reader.exactPath(reader.index)));
  const k = Math.max(1, LEAST_SIDE_PX / Math.max(view.width, view.height));
  const canvas = h("canvas", { width: Math.round(view.width * k), height: Math.round(view.height * k) });
  const drawing = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  drawing.fillStyle = "#000";
  drawing.fillRect(0, 0, canvas.width, canvas.height);
  const [a, b, c, d, e, f] = view.screenFromFrame;
  drawing.setTransform(a * k, b * k, c * k, d * k, e * k, f * k);
  drawing.imageSmoothingEnabled = !view.canvas.classList.contains("pixels");
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(exact, 0, 0, reader.frame.columns, reader.frame.rows);
  drawing.setTransform(k, 0, 0, k, 0, 0);
  const over = await drawings(view);
  if (over) drawing.drawImage(over, 0, 0, view.width, view.height);
  texts(drawing, view);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));
}

/** @param {() => Promise<void>} work */
async function trying(work) {
  try {
    await work();
  } catch (error) {
    notice(t("picture.failed", { reason: asProblem(error).message }), "bad");
  }
}

/** @param {StackView} view */
export const saveAsSeen = (view) => trying(async () => download(await asSeen(view), fileName(view, "png")));

/** The whole frame with its window, without a text. @param {StackView} view */
export const savePlain = (view) => trying(async () => {
  const { reader, node } = view;
  if (reader && node) download(await pictureFile(node, reader.exactPath(reader.index)), fileName(view, "png"));
});

/** @param {StackView} view */
export const copyPicture = (view) => trying(async () => {
  const clipboard = navigator.clipboard;
  if (!clipboard?.write || typeof ClipboardItem === "undefined") {
    notice(t("picture.uncopied"), "bad");
    return;
  }
  // Made of a promise, because browsers let a page write only right after a key or a click.
  await clipboard.write([new ClipboardItem({ "image/png": asSeen(view) })]);
  notice(t("picture.copied"));
});

/** @param {StackView} view */
export const printPicture = (view) => trying(async () => {
  const image = await imageOf(await asSeen(view));
  const canvas = h("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).drawImage(image, 0, 0);
  const sheet = h("div", { class: "print-sheet" },
    h("header", {}, [...view.texts.tl, ...view.texts.tr].filter(Boolean).map((line) => h("span", {}, line))), canvas);
  document.querySelector(".print-sheet")?.remove();
  document.body.append(sheet);
  window.addEventListener("afterprint", () => sheet.remove(), { once: true });
  window.print();
});
