// @ts-check
/** Files from pickers and drops, folders included, with their relative paths. */

/** @typedef {{file: File, path: string}} NamedFile */

const NOISE = /(^|\/)(\.DS_Store|Thumbs\.db|desktop\.ini|__MACOSX\/.*)$/i;

/**
 * @param {FileList | File[]} list
 * @returns {NamedFile[]}
 */
export function fromPicker(list) {
  return [...list]
    .map((file) => ({ file, path: file.webkitRelativePath || file.name }))
    .filter(({ path }) => !NOISE.test(path));
}

/**
 * Everything that was dropped, folders walked to the bottom.
 * @param {DataTransfer} transfer
 * @returns {Promise<NamedFile[]>}
 */
export async function fromDrop(transfer) {
  // Entries must be taken before the first await: the browser empties the list afterwards.
  const entries = [...transfer.items]
    .map((item) => (item.kind === "file" && item.webkitGetAsEntry ? item.webkitGetAsEntry() : null))
    .filter((entry) => entry !== null);
  if (!entries.length) return fromPicker(transfer.files);
  /** @type {NamedFile[]} */
  const found = [];
  const waiting = /** @type {FileSystemEntry[]} */ (entries);
  while (waiting.length) {
    const entry = /** @type {FileSystemEntry} */ (waiting.shift());
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
      found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    } else {
      const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
      // A reader answers at most 100 entries at a time.
      for (;;) {
        /** @type {FileSystemEntry[]} */
        const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!batch.length) break;
        waiting.push(...batch);
      }
    }
  }
  return found.filter(({ path }) => !NOISE.test(path));
}
