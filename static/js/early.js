// Runs before anything is drawn, so that what needs a script and what replaces it never flicker.
document.documentElement.classList.add("js");
// A tap that comes before the selfie's scripts is kept for them: on a weak network the button is seen first.
addEventListener(
  "click",
  (event) => {
    const button = event.target.closest?.("[data-selfie]:not([data-ready]) [data-do]");
    if (button) window.earlyTap = button;
  },
  true,
);
// Where the scripts of the selfie did not come, as on a network that breaks, the plain form does the work.
addEventListener("load", () => {
  if (document.querySelector("[data-selfie]:not([data-ready])")) document.documentElement.classList.remove("js");
});
