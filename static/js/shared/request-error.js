// Says in one sentence what went wrong when a request of htmx fails: no connection, too slow, or refused by the server.

import { LIVE } from "./polling.js";

/** Whether the form that was sent has error regions, and the answer has something for them. */
function saysItself({ requestConfig, xhr }) {
  const form = requestConfig.elt.closest("form");
  return Boolean(form?.querySelector("#error-form")) && xhr.responseText.includes('id="error-form"');
}

// A failed answer replaces nothing but the error regions of its form: all else keeps what it shows.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.isError && !saysItself(event.detail)) event.detail.shouldSwap = false;
});

/** One sentence about the last request that failed, until a later one succeeds or somebody closes it. */
class RequestError {
  constructor(region) {
    this.region = region;
    this.note = region.firstElementChild;
    this.words = region.dataset;
    this.ofPoll = false;
    region.querySelector("button").addEventListener("click", () => this.clear());
    document.addEventListener("htmx:sendError", (event) => this.failed(event, this.words.away));
    document.addEventListener("htmx:timeout", (event) => this.failed(event, this.words.slow));
    document.addEventListener("htmx:responseError", (event) => this.refused(event));
    document.addEventListener("htmx:afterRequest", (event) => this.ended(event));
  }

  /** The server's own sentence; a proxy in front of it sends none. */
  refused(event) {
    if (saysItself(event.detail)) return;
    const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
    const said = page.querySelector("#error-form p")?.textContent.trim();
    if (said) this.show(event, said);
    else this.failed(event, this.words.fault);
  }

  failed(event, what) {
    this.show(event, `${what} ${event.target.matches?.(LIVE) ? this.words.later : this.words.again}`);
  }

  /** A poll never takes the place of what is said of something that a person asked for. */
  show(event, sentence) {
    const isPoll = event.target.matches?.(LIVE) ?? false;
    if (isPoll && !this.note.hidden && !this.ofPoll) return;
    this.ofPoll = isPoll;
    // Outside of an open dialog nothing can be read aloud or pressed.
    const place = document.querySelector("dialog:modal") ?? document.body;
    if (this.region.parentElement !== place) place.append(this.region);
    const text = this.note.querySelector("p");
    if (text.textContent !== sentence) text.textContent = sentence;
    this.note.hidden = false;
  }

  ended(event) {
    if (!event.detail.successful) return;
    if (this.ofPoll || !event.target.matches?.(LIVE)) this.clear();
  }

  clear() {
    this.note.hidden = true;
    this.note.querySelector("p").textContent = "";
  }
}
new RequestError(document.getElementById("request-error"));
