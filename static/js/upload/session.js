// The sign-in behind an upload that lasts for hours. When it ends, requests wait here instead of failing, and go on
// with the token of the new sign-in.

const EVERY = 10_000;

export class Session {
  /** `address` tells a fresh token; `changed(lost)` is called when the sign-in is gone and when it is back. */
  constructor(address, changed) {
    this.address = address;
    this.changed = changed;
    this.token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
    this.waiting = null;
    for (const name of ["focus", "pageshow"]) window.addEventListener(name, () => this.waiting && this.check());
    document.addEventListener("visibilitychange", () => this.waiting && !document.hidden && this.check());
  }

  /** Whether an answer says that nobody is signed in any more: plainly, or by leading to the page for it. */
  isRefusal(status, address) {
    return status === 401 || (status === 200 && new URL(address || "/", location.href).pathname === "/sign-in");
  }

  /** Whether the answer blames the page's token, which ends with its sign-in. */
  static isStale(status, code) {
    return status >= 400 && status < 500 && code === "csrf";
  }

  /** From now on requests wait; returns at once. */
  lose() {
    if (this.waiting) return;
    this.waiting = {};
    this.waiting.over = new Promise((resolve) => {
      this.waiting.end = resolve;
    });
    this.timer = setInterval(() => this.check(), EVERY);
    this.check(true);
  }

  /** Resolves while somebody is signed in. */
  async ready() {
    await this.waiting?.over;
  }

  /** Look whether somebody is signed in again, and take the new token from the page. */
  async check(first = false) {
    let answer;
    try {
      answer = await fetch(this.address, { cache: "no-store" });
    } catch {
      return;
    }
    if (!answer.ok || this.isRefusal(answer.status, answer.url)) {
      if (first) this.changed(true);
      return;
    }
    this.token = (await answer.json()).csrf_token;
    clearInterval(this.timer);
    this.waiting?.end();
    this.waiting = null;
    this.changed(false);
  }
}
