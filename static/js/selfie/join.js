// Joining in two steps: the selfie first, then who one is. What is sent shows its progress, and is sent again by itself
// where the connection broke: the form carries a key, so that nothing is done twice.

import htmx from "htmx.org";

const PAUSES_MS = [1500, 3000, 6000, 12_000];

class Join {
  constructor(root) {
    this.root = root;
    this.form = root.querySelector("form");
    this.bar = root.querySelector("[data-sending]");
    this.words = this.bar.dataset;
    this.tries = 0;
    root.addEventListener("selfie", (event) => this.selfie(event.detail.state));
    for (const button of root.querySelectorAll("[data-without]")) {
      button.addEventListener("click", () => this.without(button.dataset.without === "yes"));
    }
    this.form.addEventListener("htmx:xhr:progress", (event) => this.progress(event.detail));
    this.form.addEventListener("htmx:beforeRequest", () => this.say(this.words.sayBegins));
    this.form.addEventListener("htmx:sendError", (event) => this.broken(event));
    this.form.addEventListener("htmx:timeout", (event) => this.broken(event));
    this.form.addEventListener("htmx:responseError", () => this.say(""));
  }

  step(name) {
    this.root.dataset.step = name;
    window.scrollTo({ top: 0 });
  }

  selfie(state) {
    if (state !== "picked") return;
    const reuse = this.form.elements.reuse; // A new selfie is meant to be used.
    if (reuse) reuse.checked = false;
    this.without(false);
    this.step("details");
    const first = [...this.form.querySelectorAll(".details input:is([type=text], [type=email])")].find(
      (input) => !input.value,
    );
    this.focus(first);
  }

  /** Focus a field; scrolls only as far as it needs to be seen. */
  focus(field) {
    field?.focus({ preventScroll: true });
    field?.scrollIntoView({ block: "nearest" });
  }

  /** Join without a selfie, or take that back. */
  without(chosen) {
    this.root.dataset.way = chosen ? "without" : "selfie";
    const field = this.form.querySelector('input[type=hidden][name="without"]');
    if (field) field.disabled = !chosen;
    this.step(chosen || this.form.querySelector('input[type="file"]').files.length ? "details" : "start");
    if (chosen) this.focus(this.form.querySelector("input[name=name]"));
  }

  progress({ loaded, total, lengthComputable }) {
    if (!lengthComputable || loaded >= total) return this.say(this.words.sayWaits, 1);
    this.say(this.words.saySends.replace("%s", Math.round((100 * loaded) / total)), loaded / total);
  }

  say(text, share = null) {
    this.bar.hidden = !text;
    this.bar.querySelector("p").textContent = text;
    const line = this.bar.querySelector("progress");
    if (share === null) line.removeAttribute("value");
    else line.value = share;
  }

  /** No answer came. What was sent may have been done, so it is sent again with the same key. */
  broken(event) {
    if (this.tries >= PAUSES_MS.length) {
      this.tries = 0;
      this.say("");
      return; // request-error.js says it and waits for a person.
    }
    event.stopPropagation();
    this.say(this.words.sayAgain);
    setTimeout(() => htmx.trigger(this.form, "submit"), PAUSES_MS[this.tries]);
    this.tries += 1;
  }
}

for (const root of document.querySelectorAll("[data-join]")) new Join(root);
