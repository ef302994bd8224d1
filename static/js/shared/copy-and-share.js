// Buttons that copy a text, and those that hand a link to the device's own list of apps.

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
  setTimeout(() => {
    label.textContent = before;
  }, 2500);
});

// Where the browser can share, a link goes to an app of one's own: notes, mail, a chat with oneself.
for (const button of document.querySelectorAll("[data-share]")) {
  button.hidden = !navigator.share;
  button.addEventListener("click", () => navigator.share({ url: button.dataset.share }).catch(() => {}));
}
