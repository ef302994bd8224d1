// Photos that arrive while one looks move in; those of the first page are just there.

import { LIVE } from "./polling.js";

document.addEventListener("htmx:beforeSwap", (event) => {
  const grid = document.querySelector(".grid[data-arrivals]");
  if (!grid || !event.target.matches(LIVE)) return;
  const known = new Set([...grid.children].map((item) => item.id));
  document.addEventListener(
    "htmx:afterSettle",
    () => {
      for (const item of document.querySelectorAll(".grid[data-arrivals] > li")) {
        if (!known.has(item.id)) item.classList.add("is-new");
      }
    },
    { once: true },
  );
});
