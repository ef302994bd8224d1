// The keyboard on one photo of a guest: arrows lead to the photos beside it, Escape back to all of them.

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, textarea, select")) return;
  const wanted = { ArrowLeft: '[rel="prev"]', ArrowRight: '[rel="next"]', Escape: "[data-close]" }[event.key];
  const link = wanted && document.querySelector(`.viewer ${wanted}`);
  if (link) link.click();
});
