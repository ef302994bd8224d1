// On a phone lines of rooms and of filters scroll sideways: where one is, is in sight.
for (const here of document.querySelectorAll(":is(.rooms, .filters) [aria-current]")) {
  const line = here.closest(".rooms, .filters");
  const [box, frame] = [here.getBoundingClientRect(), line.getBoundingClientRect()];
  line.scrollLeft += box.left - frame.left - (frame.width - box.width) / 2;
}
