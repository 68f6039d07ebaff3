// @ts-check
/** Base of the page's custom elements: what it listens to ends with it. */

export class View extends HTMLElement {
  #life = new AbortController();

  /** Aborted when the element leaves the page. */
  get signal() {
    return this.#life.signal;
  }

  connectedCallback() {
    if (this.#life.signal.aborted) this.#life = new AbortController();
    this.start();
  }

  disconnectedCallback() {
    this.#life.abort();
    this.stop();
  }

  /** Called when the element enters the page. */
  start() {}

  /** Called when the element has left the page. */
  stop() {}

  /**
   * Listen as long as the element is in the page.
   * @param {EventTarget} target @param {string} type @param {(event: any) => void} listener @param {AddEventListenerOptions} [options]
   */
  listen(target, type, listener, options = {}) {
    target.addEventListener(type, listener, { ...options, signal: this.signal });
  }
}
