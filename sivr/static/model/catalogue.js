// @ts-check
/**
 * Every sentence of the page, in every language, as far as its parts are loaded. A text is a string or, where a number
 * decides, its plural forms (English: one, other; Croatian: one, few, other).
 */

/** @typedef {string | Record<string, string>} Text */
/** @typedef {Record<string, {en: Text, hr: Text}>} Sentences */

/** @type {Sentences} */
export const catalogue = {};

/** Add the sentences of a part of the page. @param {Sentences} sentences */
export function say(sentences) {
  Object.assign(catalogue, sentences);
}
