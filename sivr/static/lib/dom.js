// @ts-check
/** Small helpers around the DOM. Nothing here sets HTML text or style attributes: the page's policy forbids both. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Make an element. Attributes that begin with "on" are listeners, "class" and "data-…" are attributes, booleans
 * toggle, `value` and `checked` are set as properties.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "indeterminate") {
      /** @type {any} */ (element)[name] = value;
    } else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
  }
  add(element, children);
  return element;
}

/**
 * Append children, skipping empty ones.
 * @param {Node} parent
 * @param {(Child | Child[])[]} children
 */
export function add(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/**
 * Replace everything inside an element.
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function fill(parent, ...children) {
  const fragment = document.createDocumentFragment();
  add(fragment, children);
  parent.replaceChildren(fragment);
}

/**
 * Set text only where it differs, so that screen readers and layout stay calm.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...SVGElement} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * A function that runs at most once per animation frame, with the newest arguments.
 * @template {any[]} A
 * @param {(...values: A) => void} work
 * @returns {(...values: A) => void}
 */
export function perFrame(work) {
  /** @type {A | null} */
  let waiting = null;
  return (...values) => {
    const scheduled = waiting !== null;
    waiting = values;
    if (scheduled) return;
    requestAnimationFrame(() => {
      const now = /** @type {A} */ (waiting);
      waiting = null;
      work(...now);
    });
  };
}

/**
 * A function that waits until it has been left alone for a while.
 * @template {any[]} A
 * @param {number} pause_ms
 * @param {(...values: A) => void} work
 * @returns {((...values: A) => void) & {cancel: () => void}}
 */
export function afterPause(pause_ms, work) {
  let timer = 0;
  const later = (/** @type {A} */ ...values) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => work(...values), pause_ms);
  };
  return Object.assign(later, { cancel: () => clearTimeout(timer) });
}

let lastId = 0;

/** @param {string} prefix @returns {string} an id unique in this document */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}
