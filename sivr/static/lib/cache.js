// @ts-check
/** A cache bounded in bytes; the least recently used entries go first. */

/** @template V */
export class ByteCache {
  /** @param {number} limit_bytes @param {(value: V) => void} [drop] called for every value that leaves */
  constructor(limit_bytes, drop = () => {}) {
    this.limit = limit_bytes;
    this.bytes = 0;
    this.drop = drop;
    /** @type {Map<string, {value: V, bytes: number}>} */
    this.entries = new Map();
  }

  /** @param {string} key @returns {V | undefined} */
  get(key) {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  /** @param {string} key */
  has(key) {
    return this.entries.has(key);
  }

  /** @param {string} key @param {V} value @param {number} bytes */
  put(key, value, bytes) {
    this.remove(key);
    this.entries.set(key, { value, bytes });
    this.bytes += bytes;
    for (const oldest of this.entries.keys()) {
      if (this.bytes <= this.limit || oldest === key) break;
      this.remove(oldest);
    }
  }

  /** @param {string} key */
  remove(key) {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.entries.delete(key);
    this.bytes -= entry.bytes;
    this.drop(entry.value);
  }

  clear() {
    for (const key of [...this.entries.keys()]) this.remove(key);
  }
}
