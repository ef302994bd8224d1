// Runs before anything is drawn, so that what needs a script and what replaces it never flicker.
document.documentElement.classList.add("js");
// Where the scripts of the selfie did not come, as on a network that breaks, the plain form does the work.
addEventListener("load", function () {
  if (document.querySelector("[data-selfie]:not([data-ready])")) document.documentElement.classList.remove("js");
});
