// Keeps the screen on while photos leave, where the browser can do that: a phone that sleeps sends nothing.

export class WakeLock {
  constructor() {
    this.lock = null;
  }

  /** Hold the lock, or let it go. The browser takes it away by itself when the page is hidden. */
  async hold(wanted) {
    try {
      if (wanted && !this.lock) {
        this.lock = await navigator.wakeLock.request("screen");
        this.lock.addEventListener("release", () => {
          this.lock = null;
        });
      } else if (!wanted && this.lock) await this.lock.release();
    } catch {
      this.lock = null;
    }
  }
}
