// @ts-check
/** The line, for the curious: what it carries, how long it takes, and where the last picture's time went. */
import { fill, h, setText, svg } from "../lib/dom.js";
import { View } from "../lib/view.js";
import { line } from "../net/line.js";
import { heldBytes } from "../net/pictures.js";
import { number, size, t } from "../model/language.js";
import "../model/messages/network.js";
import { heldBytes as stripBytes } from "../tools/film-strip.js";

const EVERY_MS = 500;
const [WIDTH, HEIGHT] = [280, 48];

/** @param {number} bytes_s @returns {string} */
const rate = (bytes_s) => t("network.rate", { rate: number((bytes_s * 8) / 1e6, bytes_s < 1.25e6 ? 2 : 0) });

/** @param {number} ms @returns {string} */
const time = (ms) => t("network.ms", { ms: number(ms, ms < 10 ? 1 : 0) });

/** The protocol of the newest answer with a picture. @returns {string} */
function protocol() {
  const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"));
  for (let at = entries.length - 1; at >= 0; at -= 1) {
    if (/\/(rendered\w*|filmstrip)\?/.test(entries[at].name)) return entries[at].nextHopProtocol;
  }
  return "";
}

export class NetworkPanel extends View {
  #facts = /** @type {Record<string, HTMLElement>} */ ({});
  #path = svg("polyline", { class: "spark", points: "" });
  #bar = h("div", { class: "parts", role: "img" });
  #parts = h("ul", { class: "plain-list parts-list" });
  #timer = 0;

  start() {
    this.classList.add("network");
    const names = ["goodput", "round", "protocol", "underway", "given", "received", "last", "quality", "whole", "held"];
    fill(this,
      svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "sparkline", role: "img", "aria-label": t("network.history") }, this.#path),
      h("dl", {}, names.map((name) => [h("dt", {}, t(`network.${name}`)), (this.#facts[name] = h("dd", { "data-fact": name }))]).flat()),
      h("h3", {}, t("network.parts")), this.#bar, this.#parts);
    this.listen(line, "change", () => this.#soon());
    this.#timer = window.setInterval(() => this.#draw(), EVERY_MS);
    this.#draw();
  }

  stop() {
    clearInterval(this.#timer);
  }

  #waiting = false;
  #soon() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      if (this.isConnected) this.#draw();
    });
  }

  #draw() {
    const { last, history } = line;
    const strips = stripBytes();
    /** @type {Record<string, string>} */
    const facts = {
      goodput: rate(line.goodput_bytes_s),
      round: time(line.round_trip_ms),
      protocol: protocol() || "–",
      underway: number(line.requests, 0),
      given: t("network.given.of", { count: number(line.given_up.requests, 0), size: size(line.given_up.bytes) }),
      received: size(line.received_bytes),
      last: last ? `${size(last.bytes)} · ${last.type.replace("image/", "")}` : "–",
      quality: last?.quality || "–",
      whole: last ? time(last.whole_ms) : "–",
      held: size(heldBytes() + strips.encoded + strips.decoded),
    };
    for (const [name, text] of Object.entries(facts)) setText(this.#facts[name], text);
    const most = Math.max(...history, 1);
    this.#path.setAttribute("points", history.map((one, at) =>
      `${((at / Math.max(history.length - 1, 1)) * WIDTH).toFixed(1)},${(HEIGHT - 2 - (one / most) * (HEIGHT - 4)).toFixed(1)}`).join(" "));
    this.#drawParts();
  }

  #drawParts() {
    const { last } = line;
    if (!last) return;
    const server_ms = last.parts.reduce((sum, [, ms]) => sum + ms, 0);
    const parts = [...last.parts, /** @type {[string, number]} */ (["network", Math.max(0, last.whole_ms - server_ms)])];
    const text = parts.map(([name, ms]) => `${t(`network.part.${name}`)} ${time(ms)}`);
    if (this.#bar.getAttribute("aria-label") === text.join(", ")) return;
    this.#bar.setAttribute("aria-label", text.join(", "));
    fill(this.#bar, parts.map(([name, ms]) => {
      const piece = h("i", { "data-part": name });
      piece.style.flexGrow = String(ms);
      return piece;
    }));
    fill(this.#parts, parts.map(([name], at) => h("li", {}, h("i", { "data-part": name }), text[at])));
  }
}
customElements.define("sivr-network", NetworkPanel);
