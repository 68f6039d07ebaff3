// @ts-check
/** Names of keys: one way to write them in tables, one way to read them off events, one way to show them. */

/**
 * "w", "Shift+T" for a letter with Shift, "Ctrl+z" (Command on a Mac too), "Shift+ArrowLeft", "?" as it is typed.
 * @param {KeyboardEvent} event @returns {string}
 */
export function keyOf(event) {
  const { key } = event;
  const letter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  const name = letter ? (event.shiftKey ? key.toUpperCase() : key.toLowerCase()) : key;
  const shift = event.shiftKey && (letter || key.length > 1 || key === " ") ? "Shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift}${name}`;
}

/** @type {Record<string, string>} */
const SIGNS = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", PageUp: "PgUp", PageDown: "PgDn", Delete: "Del", Escape: "Esc", "-": "−" };

/**
 * As it stands in hints and in the help sheet.
 * @param {string} key @param {string} space the name of the space bar @returns {string}
 */
export function keyShown(key, space) {
  const parts = key === "+" || key.endsWith("++") ? [...key.slice(0, -1).split("+").filter(Boolean), "+"] : key.split("+");
  return parts.map((part) => (part === " " ? space : SIGNS[part] ?? (part.length === 1 ? part.toUpperCase() : part))).join("+");
}
