// Lets the browser keep the page that is shown without a connection. It waits until this page is there and has rest.

const REST_MS = 2000;

addEventListener("load", () => {
  const address = `/worker.js?language=${document.documentElement.lang}`;
  // Without https there is no such thing, and a browser may refuse to keep anything.
  setTimeout(() => navigator.serviceWorker?.register(address).catch(() => {}), REST_MS);
});
