// The service worker: where a page can't be fetched it shows one that says what will happen. It has that page in itself
// and keeps the page's two files, and nothing of anyone. The server writes `KEPT`, {name, page, files}, before this
// (pages/installing.py): page and files are of one version, whichever server each is asked from.

const { name, page, files } = self.KEPT;

/** What browsers save as files they fetch by themselves; a worker is ended before a large one is through. */
const NO_PAGE = /\/(download|original)\b|\.(zip|csv|pdf|jpg|png|svg)$/;

const HEADERS = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Content-Type": "text/html; charset=utf-8",
};

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(name).then((kept) => kept.addAll(files)));
  self.skipWaiting();
});

async function takeOver() {
  for (const other of await caches.keys()) if (other !== name) await caches.delete(other);
  // The browser asks for a page while this worker is still being started.
  await self.registration.navigationPreload?.enable();
}
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

async function pageOrWords(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return new Response(page, { headers: HEADERS });
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname } = new URL(request.url);
  if (request.mode === "navigate" && request.method === "GET" && !NO_PAGE.test(pathname)) {
    event.respondWith(pageOrWords(event));
  } else if (files.includes(pathname)) {
    event.respondWith(caches.match(pathname).then((kept) => kept ?? fetch(request)));
  }
});
