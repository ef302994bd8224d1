// Answers to a form replace only its error regions, so that a chosen picture stays chosen. This marks the fields that
// they belong to, and leads to the first of them.

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
  if (!region?.textContent) return;
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
