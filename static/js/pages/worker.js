// The service worker of all pages.

import "../offline/worker.js";
