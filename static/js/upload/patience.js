// How long an upload goes on trying, whichever way its bytes take: which failures pass by themselves, and the pauses
// between two tries.

/** So many files are on their way at the same time. */
export const AT_ONCE = 5;

const SECOND = 1000;
const PAUSES = [1, 2, 4, 8, 15, 30].map((seconds) => seconds * SECOND);
/** After the growing pauses one a minute, for a night. */
export const RETRIES = [...PAUSES, ...Array.from({ length: 600 }, () => 60 * SECOND)];

/** How long to wait after so many tries, in milliseconds. */
export const pauseAfter = (tried) => RETRIES[Math.min(tried, RETRIES.length - 1)];

export const pause = (tried) =>
  new Promise((resolve) => {
    setTimeout(resolve, pauseAfter(tried));
  });

/** Whether a later try may succeed; without a status no answer came. */
export const passing = (status) => !status || status >= 500 || [408, 409, 423, 425, 429].includes(status);
