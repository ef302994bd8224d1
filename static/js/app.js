// What every page shares: polling that rests in a hidden tab, what is said of failed requests, error regions, copy
// buttons, one send per form.

const LIVE = "[data-live]";
const PATIENCE_MS = 30_000;

// A hidden tab asks for nothing. The filter lives here and not in hx-trigger, since filters there need eval, which the
// content policy forbids.
document.addEventListener("htmx:configRequest", (event) => {
  if (document.hidden && event.target.matches(LIVE)) event.preventDefault();
  // What is sent may be large and slow; what is only read is given up, or a poll would wait for ever.
  if (event.detail.verb === "get") event.detail.timeout ||= PATIENCE_MS;
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !window.htmx) return;
  for (const region of document.querySelectorAll(LIVE)) window.htmx.trigger(region, "wake");
});

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

// Form answers replace only the error regions, so that a chosen picture stays chosen. This ties them to their fields.
function markFields(root) {
  for (const region of root.querySelectorAll("[data-error-for]")) {
    const field = document.getElementById(region.dataset.errorFor);
    if (!field) continue;
    if (region.textContent.trim()) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
}
document.addEventListener("htmx:afterSettle", () => markFields(document));

function clearError(event) {
  const region = event.target.id && document.querySelector(`[data-error-for="${event.target.id}"]`);
  if (!region || !region.textContent) return;
  region.textContent = "";
  event.target.removeAttribute("aria-invalid");
}
document.addEventListener("input", clearError);
document.addEventListener("change", clearError);

// The selfie's own field is out of sight while its camera is there; then its first button takes the focus.
function focusFirstFault(form) {
  const field = form.querySelector('[aria-invalid="true"]');
  if (!field) return;
  const target = field.offsetParent ? field : field.closest("[data-selfie]")?.querySelector("button:not([hidden])");
  (target ?? form).scrollIntoView({ block: "center" });
  target?.focus({ preventScroll: true });
}
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target.closest?.("form");
  if (!form || event.detail.successful) return;
  // After the swap of the error regions has settled, the first field that needs another look gets the focus.
  setTimeout(() => {
    markFields(form);
    focusFirstFault(form);
  }, 60);
});

// A plain form is sent once, however often an impatient thumb taps.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.hasAttribute("hx-post") || form.method === "dialog") return;
  if (form.classList.contains("is-sending")) event.preventDefault();
  form.classList.add("is-sending");
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll(".is-sending")) form.classList.remove("is-sending");
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.querySelector("[data-label]");
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.textContent = button.dataset.done;
  } catch {
    // Without the right to the clipboard the text is selected instead, ready for the person's own copy.
    const target = document.getElementById(button.dataset.source);
    if (target) window.getSelection().selectAllChildren(target);
    return;
  }
  setTimeout(() => { label.textContent = before; }, 2500);
});

// Where the browser can share, a link goes to an app of one's own: notes, mail, a chat with oneself.
for (const button of document.querySelectorAll("[data-share]")) {
  button.hidden = !navigator.share;
  button.addEventListener("click", () => navigator.share({ url: button.dataset.share }).catch(() => {}));
}

// Arrow keys on one photo.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, textarea, select")) return;
  const wanted = { ArrowLeft: '[rel="prev"]', ArrowRight: '[rel="next"]', Escape: "[data-close]" }[event.key];
  const link = wanted && document.querySelector(`.viewer ${wanted}`);
  if (link) link.click();
});

// On a phone lines of rooms and of filters scroll sideways: where one is, is in sight.
for (const here of document.querySelectorAll(":is(.rooms, .filters) [aria-current]")) {
  const line = here.closest(".rooms, .filters");
  const [box, frame] = [here.getBoundingClientRect(), line.getBoundingClientRect()];
  line.scrollLeft += box.left - frame.left - (frame.width - box.width) / 2;
}

// Photos that arrive while one looks move in; those of the first page are just there.
document.addEventListener("htmx:beforeSwap", (event) => {
  const grid = document.querySelector(".grid[data-arrivals]");
  if (!grid || !event.target.matches(LIVE)) return;
  const known = new Set([...grid.children].map((item) => item.id));
  document.addEventListener("htmx:afterSettle", () => {
    for (const item of document.querySelectorAll(".grid[data-arrivals] > li")) {
      if (!known.has(item.id)) item.classList.add("is-new");
    }
  }, { once: true });
});
