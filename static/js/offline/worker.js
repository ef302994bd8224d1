// The service worker: where a page can't be fetched it shows one that says what will happen. It keeps that page and its
// two files, and nothing of anyone. `KEPT`, {name, page, files}, is written before this by the server (pages/installing.py).

const { name, page, files } = self.KEPT;

/** What browsers save as files they fetch by themselves; a worker is ended before a large one is through. */
const NO_PAGE = /\/(download|original)\b|\.(zip|csv|pdf|jpg|png|svg)$/;

self.addEventListener("install", (event) => {
  // Without cookies: what is kept is the same for everyone.
  const requests = [page, ...files].map((address) => new Request(address, { credentials: "omit" }));
  event.waitUntil(caches.open(name).then((kept) => kept.addAll(requests)));
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
    return (await caches.match(page)) ?? Response.error();
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
