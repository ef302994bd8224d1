// Stands in the page and runs before anything is drawn: what needs a script and what replaces it never flicker.

const root = document.documentElement;
const SLOW_MS = 400;

// Browsers that know no modules get none of our scripts, and the plain forms do the work.
if ("noModule" in HTMLScriptElement.prototype) root.classList.add("js");

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
  if (document.querySelector("[data-selfie]:not([data-ready])")) root.classList.remove("js");
});

// A font that comes late is left out for the page. So on a slow network it would only take the line from the cover and
// the scripts: there the first page has the system's fonts, and ours are fetched afterwards, for the pages that follow.
const KEPT = "fonts-kept";

function areKept() {
  try {
    return sessionStorage.getItem(KEPT) !== null;
  } catch {
    return false;
  }
}

function fetchFonts(how) {
  for (const font of document.querySelectorAll('link[as="font"]')) {
    font.rel = how;
    font.removeAttribute("media");
  }
}

// Once they are there, they are for all pages that follow: one that the server is slow to make has them as well.
function keepFonts() {
  try {
    sessionStorage.setItem(KEPT, "");
  } catch {
    // Without it each page decides for itself, by how soon it came.
  }
}

// It is counted from the tap on a link to here: names, connections, redirects and the page's first bytes.
if (areKept() || performance.now() < SLOW_MS) {
  fetchFonts("preload");
  addEventListener("load", keepFonts);
} else {
  root.classList.add("is-slow");
  addEventListener("load", () => {
    fetchFonts("prefetch");
    keepFonts();
  });
}
