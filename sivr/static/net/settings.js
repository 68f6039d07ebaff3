// @ts-check
/** What the user keeps on the toplevel for every computer: layouts, hanging protocols, transfer functions. */
import { Problem } from "./http.js";
import { session } from "./session.js";
import { keepSetting, setting, settingNames } from "./toplevel.js";

/** @typedef {{value: any, version: number}} Kept */

/** @type {Map<string, Kept>} */
const known = new Map();
/** Which there are: whoever keeps nothing is asked for nothing. @type {Promise<Set<string>> | null} */
let names = null;
session.addEventListener("closed", () => {
  known.clear();
  names = null;
});

/**
 * A value as it was kept last; the fallback where there is none yet.
 * @template T
 * @param {string} name @param {T} fallback @returns {Promise<T>}
 */
export async function kept(name, fallback) {
  const had = known.get(name);
  if (had) return had.value;
  names ??= settingNames();
  const all = await names.catch((problem) => {
    names = null;
    throw problem;
  });
  if (!all.has(name)) {
    known.set(name, { value: fallback, version: 0 });
    return fallback;
  }
  try {
    const found = await setting(name);
    known.set(name, found);
    return found.value;
  } catch (error) {
    if (error instanceof Problem && error.status === 404) {
      known.set(name, { value: fallback, version: 0 });
      return fallback;
    }
    throw error;
  }
}

/**
 * Change a value. Where another computer changed it meanwhile, the change is made to what it wrote.
 * @template T
 * @param {string} name @param {T} fallback @param {(value: T) => T} change @returns {Promise<T>}
 */
export async function keep(name, fallback, change) {
  for (let again = false; ; again = true) {
    await kept(name, fallback);
    const { value, version } = /** @type {Kept} */ (known.get(name));
    const wanted = change(value);
    try {
      known.set(name, await keepSetting(name, wanted, version));
      (await names)?.add(name);
      return wanted;
    } catch (error) {
      known.delete(name);
      (await names)?.add(name);
      if (again || !(error instanceof Problem) || error.status !== 409) throw error;
    }
  }
}
