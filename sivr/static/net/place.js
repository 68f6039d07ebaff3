// @ts-check
/**
 * A server other than the toplevel: an institution or a render node. The bearer is exchanged once for the server's own
 * cookie, so that plain GETs need no preflight; the cookie is renewed before it ends and after a 401.
 */
import { Problem, jsonOf, send } from "./http.js";
import { session } from "./session.js";

const SPARE_MS = 60_000;

const GOODBYE_MS = 5000;
const VISITED = "sivr.places";

/** @type {Map<string, Place>} */
const places = new Map();

/**
 * Servers that may hold a session of this browser. Kept as long as their cookies are, which outlive the page and the tab:
 * logging out ends them all. Addresses only.
 * @returns {string[]}
 */
function visited() {
  try {
    const found = JSON.parse(localStorage.getItem(VISITED) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one === "string" && one.startsWith("https://")) : [];
  } catch {
    return [];
  }
}

/** @param {string} base */
function visit(base) {
  const known = visited();
  if (!known.includes(base)) localStorage.setItem(VISITED, JSON.stringify([...known, base]));
}

export class Place {
  #until_ms = 0;
  /** @type {Promise<void> | null} */
  #opening = null;
  /** Set where the browser keeps no cookie of this server (third-party cookies off): then the bearer goes along. */
  #bearer = false;

  /** @param {string} base URL without a slash at the end */
  constructor(base) {
    this.base = base;
  }

  /** What POST /session carries. @returns {Promise<Record<string, any>>} */
  async credentials() {
    return {};
  }

  /** Headers for a server whose cookie the browser does not keep. @returns {Record<string, string>} */
  grantHeaders() {
    return {};
  }

  /** @param {boolean} [again] even when there is a session */
  open(again = false) {
    if (!again && Date.now() < this.#until_ms - SPARE_MS) return Promise.resolve();
    this.#opening ??= this.#exchange().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #exchange() {
    for (let again = false; ; again = true) {
      const token = again ? await session.renew() : await session.token();
      try {
        const response = await send(`${this.base}/session`, {
          method: "POST",
          json: await this.credentials(),
          headers: { Authorization: `Bearer ${token}` },
          credentials: "include",
          timeout_ms: 12_000,
        });
        visit(this.base);
        const { expires_in_s } = await jsonOf(response);
        this.#until_ms = Date.now() + (expires_in_s ?? 300) * 1000;
        return;
      } catch (error) {
        if (again || !(error instanceof Problem) || error.status !== 401) throw error;
      }
    }
  }

  /** @returns {Promise<Record<string, string>>} */
  async #headers() {
    if (!this.#bearer) return {};
    return { Authorization: `Bearer ${await session.token()}`, ...this.grantHeaders() };
  }

  /**
   * @param {string} path @param {import("./http.js").Ask} [ask]
   * @returns {Promise<Response>}
   */
  async send(path, ask = {}) {
    for (let attempt = 0; ; attempt += 1) {
      await this.open(attempt > 0);
      try {
        return await send(this.base + path, {
          ...ask, headers: { ...ask.headers, ...(await this.#headers()) }, credentials: "include",
        });
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 401 || attempt >= 2) throw error;
        if (attempt === 1) this.#bearer = true;
      }
    }
  }

  /** @param {string} path @param {import("./http.js").Ask} [ask] @returns {Promise<any>} */
  async json(path, ask) {
    return jsonOf(await this.send(path, ask));
  }

  /** Headers and cookies for a request that is made elsewhere (uploads). */
  async ready() {
    await this.open();
    return this.#headers();
  }

  close() {
    this.#until_ms = 0;
  }
}

/**
 * The place at an address, one object per server.
 * @template {Place} P
 * @param {string} base @param {new (base: string) => P} kind @returns {P}
 */
export function placeAt(base, kind) {
  const clean = base.replace(/\/+$/, "");
  let found = places.get(clean);
  if (!(found instanceof kind)) {
    found = new kind(clean);
    places.set(clean, found);
  }
  return /** @type {P} */ (found);
}

session.addEventListener("closed", () => {
  for (const place of places.values()) place.close();
  places.clear();
  // Nobody waits for the answers: a server that is silent keeps no one in.
  for (const base of visited()) {
    send(`${base}/session`, { method: "DELETE", credentials: "include", keepalive: true, timeout_ms: GOODBYE_MS }).catch(() => {});
  }
  localStorage.removeItem(VISITED);
});
