// Arrow keys on one photo.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, textarea, select")) return;
  const wanted = { ArrowLeft: '[rel="prev"]', ArrowRight: '[rel="next"]', Escape: "[data-close]" }[event.key];
  const link = wanted && document.querySelector(`.viewer ${wanted}`);
  if (link) link.click();
});
