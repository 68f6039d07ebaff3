// @ts-check
/** Waiting, and trying again. */

/**
 * @param {number} ms
 * @param {AbortSignal} [signal] ends the wait early by rejecting
 * @returns {Promise<void>}
 */
export function wait(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Seconds to wait before attempt n (from 0): doubling, bounded, with jitter so that many browsers do not come at once.
 * @param {number} attempt @param {number} [most_s]
 */
export const backoff_ms = (attempt, most_s = 15) =>
  Math.min(most_s, 0.5 * 2 ** attempt) * 1000 * (0.75 + Math.random() / 2);

/**
 * A signal that aborts when any of the given ones does, or after a while.
 * @param {number} timeout_ms @param {...(AbortSignal | undefined)} signals
 * @returns {{signal: AbortSignal, timedOut: () => boolean, done: () => void}}
 */
export function bounded(timeout_ms, ...signals) {
  const controller = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, timeout_ms);
  const stop = () => controller.abort();
  for (const signal of signals) {
    if (signal?.aborted) controller.abort();
    signal?.addEventListener("abort", stop, { once: true });
  }
  const done = () => {
    clearTimeout(timer);
    for (const signal of signals) signal?.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, timedOut: () => late, done };
}
