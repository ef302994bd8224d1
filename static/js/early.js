// Runs before anything is drawn, so that what needs a script and what replaces it never flicker.
document.documentElement.classList.add("js");
