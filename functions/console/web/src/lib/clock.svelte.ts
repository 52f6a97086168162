/** The time, for what counts down. */

let now = $state(Date.now());
if (typeof setInterval === 'function' && typeof document !== 'undefined') {
  setInterval(() => {
    if (document.visibilityState === 'visible') now = Date.now();
  }, 1000);
}

export const clock = {
  /** Milliseconds since the Unix epoch, at most a second old. */
  get now() {
    return now;
  },
};
