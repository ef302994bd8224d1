// The page that is shown without a connection: it opens the page that was meant, as soon as there is one again.

const EVERY_MS = 4000;
const PATIENCE_MS = 10_000;

async function tryAgain() {
  try {
    // What is small and needs no sign-in tells as much as the page itself.
    const answer = await fetch("/api/health/live", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.ok) location.reload();
  } catch {
    // There is still no connection.
  }
}

addEventListener("online", tryAgain);
setInterval(() => document.hidden || tryAgain(), EVERY_MS);
