// @ts-check
/**
 * Who is logged in. The access token lives in this module's memory only; the refresh token is a cookie that scripts
 * cannot read. Renewal is silent: before the token ends, after sleep, and when a server says 401.
 */
import { Problem, jsonOf, send } from "./http.js";
import { backoff_ms, wait } from "../lib/wait.js";

/** @typedef {import("../model/types.js").User} User */
/** @typedef {{access_token: string, expires_in_s: number, user: User, must_change_password: boolean}} Opened */
/** @typedef {{id: string, name: string, url: string}} Toplevel */

const LAST_TOPLEVEL = "sivr.toplevel";
const SPARE_MS = 20_000;

/** Fires "opened", "changed" (user's own data), "lost" (renewal refused) and "closed" (log out). */
class Session extends EventTarget {
  /** @type {User | null} */
  user = null;
  mustChangePassword = false;
  /** @type {Toplevel[]} */
  toplevels = [];
  /** @type {Toplevel | null} */
  toplevel = null;
  #token = "";
  #expires_ms = 0;
  #renewAt_ms = 0;
  #timer = 0;
  /** Counts log outs: what was asked for before one must not log in again after it. */
  #ended = 0;
  /** @type {Promise<string> | null} */
  #renewing = null;
  #channel = new BroadcastChannel("sivr.session");

  constructor() {
    super();
    this.#channel.addEventListener("message", (event) => {
      if (event.data === "closed" && this.user) this.#end("closed");
    });
    // After sleep, timers are late and the token may be over: look at once.
    for (const event of ["online", "pageshow", "focus"]) window.addEventListener(event, () => this.#look());
    document.addEventListener("visibilitychange", () => this.#look());
  }

  #look() {
    if (this.user && !document.hidden && Date.now() >= this.#renewAt_ms) this.renew().catch(() => {});
  }

  /**
   * Find out whether this browser is still logged in somewhere.
   * @param {Toplevel[]} toplevels
   * @returns {Promise<boolean>}
   */
  async start(toplevels) {
    this.toplevels = toplevels;
    const last = localStorage.getItem(LAST_TOPLEVEL);
    this.toplevel = toplevels.find((one) => one.id === last) ?? toplevels[0] ?? null;
    // Nobody who never logged in here is asked for: a 401 in the log would only worry.
    if (!this.toplevel || !last) return false;
    try {
      await this.renew();
      return true;
    } catch {
      return false;
    }
  }

  /** @param {string} toplevelId @param {string} login @param {string} password */
  async logIn(toplevelId, login, password) {
    const toplevel = this.toplevels.find((one) => one.id === toplevelId) ?? this.toplevels[0];
    const response = await send(`${toplevel.url}/session`, {
      method: "POST", json: { login, password }, credentials: "include",
    });
    this.toplevel = toplevel;
    localStorage.setItem(LAST_TOPLEVEL, toplevel.id);
    this.#take(await jsonOf(response));
  }

  /** @param {Opened} opened */
  #take(opened) {
    const before = this.user;
    if (before && before.id !== opened.user.id) {
      // Another tab logged in as somebody else: nothing of the former user may stay on the screen.
      location.reload();
      return;
    }
    this.#token = opened.access_token;
    const life_ms = opened.expires_in_s * 1000;
    this.#expires_ms = Date.now() + life_ms;
    this.#renewAt_ms = Date.now() + life_ms * 0.8;
    this.user = opened.user;
    this.mustChangePassword = opened.must_change_password;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.renew().catch(() => {}), life_ms * 0.8);
    this.dispatchEvent(new Event(before ? "changed" : "opened"));
  }

  /** The user changed their own data. @param {User} user */
  keep(user) {
    this.user = user;
    this.dispatchEvent(new Event("changed"));
  }

  /**
   * A token that is good for a while; renewed when needed.
   * @returns {Promise<string>}
   */
  async token() {
    if (this.#token && Date.now() < this.#expires_ms - SPARE_MS) return this.#token;
    return this.renew();
  }

  /**
   * Renew now. One renewal at a time in this tab and, by a lock, among tabs: the refresh token is for one use.
   * @returns {Promise<string>}
   */
  renew() {
    this.#renewing ??= this.#renewLocked().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #renewLocked() {
    const toplevel = this.toplevel;
    if (!toplevel) throw new Problem("", { status: 401 });
    const ended = this.#ended;
    const work = async () => {
      for (let attempt = 0; ; attempt += 1) {
        try {
          const response = await send(`${toplevel.url}/session/renew`, {
            method: "POST", credentials: "include", timeout_ms: 15_000,
          });
          return /** @type {Opened} */ (await jsonOf(response));
        } catch (error) {
          const passing = error instanceof Problem && (error.network || error.status >= 500 || error.status === 429);
          // A lost line must not log anybody out: keep trying while the token lives, then a little longer.
          if (!passing || attempt >= 4) throw error;
          await wait(backoff_ms(attempt, 5));
        }
      }
    };
    try {
      const opened = navigator.locks ? await navigator.locks.request("sivr.renew", work) : await work();
      if (ended !== this.#ended) throw new Problem("", { canceled: true });
      this.#take(opened);
      return this.#token;
    } catch (error) {
      if (error instanceof Problem && error.status === 401 && this.user) {
        this.#token = "";
        this.dispatchEvent(new Event("lost"));
      } else if (this.user) {
        clearTimeout(this.#timer);
        this.#timer = window.setTimeout(() => this.renew().catch(() => {}), 10_000);
      }
      throw error;
    }
  }

  /** Log out here, on the toplevel, and in every other tab. */
  async logOut() {
    const toplevel = this.toplevel;
    localStorage.removeItem(LAST_TOPLEVEL);
    this.#channel.postMessage("closed");
    this.#end("closed");
    if (toplevel) {
      await send(`${toplevel.url}/session`, { method: "DELETE", credentials: "include", keepalive: true, timeout_ms: 8000 }).catch(() => {});
    }
  }

  /** @param {string} how */
  #end(how) {
    clearTimeout(this.#timer);
    this.#ended += 1;
    this.#token = "";
    this.#expires_ms = 0;
    this.user = null;
    this.mustChangePassword = false;
    this.dispatchEvent(new Event(how));
  }
}

export const session = new Session();
