// @ts-check
/** What can be done with the looks of a frame, with cine, and with pictures that leave the page. */
import { t } from "../model/language.js";
import { INTERPOLATIONS, PALETTES, firstBand } from "../model/look.js";
import { keyPlaces } from "../tools/key-images.js";
import { notice } from "../components/dialog.js";
import "../components/lens.js";
import { lookMenu } from "../components/look-menu.js";
import { openMovieDialog } from "../components/movie-dialog.js";
import { copyPicture, printPicture, saveAsSeen, savePlain } from "../components/picture-out.js";
import { openTagTable } from "../components/tag-table.js";

/** @typedef {import("../components/stack-view.js").StackView} StackView */
/** @typedef {import("../components/action-bar.js").Action<StackView>} Action */
/** @typedef {import("../components/action-bar.js").Reading<StackView>} Reading */

const grey = (/** @type {Reading} */ { series }) => !series.color;
const several = (/** @type {Reading} */ { series }) => series.frames.length > 1;

/** @template T @param {T[]} all @param {T} now */
const after = (all, now) => all[(all.indexOf(now) + 1) % all.length];

/** @type {import("../components/action-bar.js").Shelf} */
export const outShelf = { id: "out", label: "picture.out", icon: "file" };

/** @param {Reading} reading */
function nextKey({ view, series }) {
  const places = view.book ? keyPlaces(view.book, series) : [];
  if (!places.length) notice(t("key.none"));
  else view.go(places.find((place) => place > (view.reader?.index ?? 0)) ?? places[0]);
}

/** @param {Reading} reading @param {Partial<import("../model/look.js").Look>} change */
function look({ view, page }, change) {
  view.setLook(change);
  page.refresh();
}

/** @type {Action[]} */
export const lookActions = [
  { id: "auto-window", label: "auto.window", icon: "auto", group: "picture", keys: ["u"], when: grey, run: ({ view }) => view.autoWindow() },
  { id: "look", label: "look", group: "picture", draw: ({ view, page }) => lookMenu(view, () => page.refresh()) },
  {
    id: "threshold", label: "threshold", group: "picture", keys: ["g"], when: grey,
    run: (reading) => look(reading, { band: reading.view.look.band ? null : firstBand(reading.series, reading.view.windowNow) }),
  },
  {
    id: "palette", label: "palette.next", group: "picture", keys: ["c"], when: grey,
    run: (reading) => look(reading, { palette: after(PALETTES, reading.view.look.palette) }),
  },
  {
    id: "interpolation", label: "interpolation", group: "picture", keys: ["Shift+I"],
    run: (reading) => look(reading, { interpolation: after(INTERPOLATIONS, reading.view.look.interpolation) }),
  },
  { id: "overlay", label: "look.overlay", group: "picture", keys: ["Shift+O"], run: (reading) => look(reading, { overlay: !reading.view.look.overlay }) },
  { id: "shutter", label: "look.shutter", group: "picture", keys: ["Shift+U"], run: (reading) => look(reading, { shutter: !reading.view.look.shutter }) },
];

/** @type {Action} */
export const magnifierAction = { id: "magnify", label: "magnifier", icon: "magnify", group: "hands", keys: ["Shift+Z"], hand: "magnify" };

/** @type {Action[]} */
export const cineActions = [
  {
    id: "cine-bar", label: "cine", group: "scroll", keys: ["Shift+ "], when: several,
    run: ({ view }) => view.setCine((cine) => (cine.open = !cine.open)),
  },
  { id: "cine-rate", label: "cine.faster", group: "scroll", keys: [".", ","], when: several, run: ({ view }, key) => view.setCine((cine) => cine.hurry(key === "." ? 1.25 : 0.8)) },
  { id: "cine-bounce", label: "cine.bounce", group: "scroll", keys: ["Shift+B"], when: several, run: ({ view }) => view.setCine((cine) => (cine.bounce = !cine.bounce)) },
  {
    id: "cine-from", label: "cine.from", group: "scroll", keys: ["Shift+Home"], when: several,
    run: ({ view }) => view.setCine((cine) => {
      cine.open = true;
      cine.setRange(view.reader?.index ?? 0, Math.max(cine.last, view.reader?.index ?? 0));
    }),
  },
  {
    id: "cine-to", label: "cine.to", group: "scroll", keys: ["Shift+End"], when: several,
    run: ({ view }) => view.setCine((cine) => {
      cine.open = true;
      cine.setRange(Math.min(cine.first, view.reader?.index ?? 0), view.reader?.index ?? 0);
    }),
  },
];

/** @type {Action[]} */
export const outActions = [
  { id: "key-next", label: "key.next", group: "keep", keys: ["Shift+K"], when: ({ view }) => !!view.book?.allowed, run: nextKey },
  { id: "save", label: "picture.save", icon: "save", group: "keep", shelf: "out", keys: ["Ctrl+s"], run: ({ view }) => saveAsSeen(view) },
  { id: "save-plain", label: "picture.plain", icon: "file", group: "keep", shelf: "out", keys: ["Ctrl+Shift+S"], run: ({ view }) => savePlain(view) },
  { id: "copy", label: "picture.copy", icon: "copy", group: "keep", shelf: "out", keys: ["Ctrl+c"], when: () => !String(getSelection() ?? ""), run: ({ view }) => copyPicture(view) },
  { id: "print", label: "picture.print", icon: "print", group: "keep", shelf: "out", keys: ["Ctrl+p"], run: ({ view }) => printPicture(view) },
  { id: "movie", label: "movie", icon: "movie", group: "keep", shelf: "out", keys: ["Shift+V"], when: several, run: ({ view }) => openMovieDialog(view) },
  { id: "tags", label: "tags", icon: "tags", group: "keep", shelf: "out", keys: ["Shift+T"], run: ({ view }) => openTagTable(view) },
];
