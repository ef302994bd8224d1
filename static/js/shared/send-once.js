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
