// Regions of a page that htmx fetches again and again, so that they show what is so now: a hidden tab rests, and one that is looked at again asks at once.

import htmx from "htmx.org";

/** What is polled. */
export const LIVE = "[data-live]";
const PATIENCE_MS = 30_000;

// A hidden tab asks for nothing. The filter lives here and not in hx-trigger, since filters there need eval, which the
// content policy forbids.
document.addEventListener("htmx:configRequest", (event) => {
  if (document.hidden && event.target.matches(LIVE)) event.preventDefault();
  // What is sent may be large and slow; what is only read is given up, or a poll would wait for ever.
  if (event.detail.verb === "get") event.detail.timeout ||= PATIENCE_MS;
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const region of document.querySelectorAll(LIVE)) htmx.trigger(region, "wake");
});
