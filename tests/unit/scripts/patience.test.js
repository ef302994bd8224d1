// What an upload waits for, and how long.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { passing, pause, pauseAfter, RETRIES } from "../../../static/js/upload/patience.js";

for (const status of [0, undefined, null, 408, 409, 423, 425, 429, 500, 502, 503, 504, 507, 599]) {
  test(`${status} may pass by itself`, () => assert.equal(passing(status), true));
}
for (const status of [200, 204, 301, 400, 401, 403, 404, 410, 411, 413, 415, 422]) {
  test(`${status} stays as it is`, () => assert.equal(passing(status), false));
}

test("pauses grow to a minute, and go on for a night", () => {
  assert.deepEqual(RETRIES.slice(0, 8), [1000, 2000, 4000, 8000, 15_000, 30_000, 60_000, 60_000]);
  assert.deepEqual(
    RETRIES,
    [...RETRIES].sort((one, other) => one - other),
  );
  const hours = RETRIES.reduce((sum, one) => sum + one, 0) / 3_600_000;
  assert.ok(hours > 9 && hours < 11, `${hours} hours`);
});

test("after the last pause there is no longer one", () => {
  assert.equal(pauseAfter(0), 1000);
  assert.equal(pauseAfter(5), 30_000);
  assert.equal(pauseAfter(1_000_000), 60_000);
});

test("a pause ends when its time is over", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let over = false;
  const waited = pause(1).then(() => {
    over = true;
  });
  mock.timers.tick(1999);
  await Promise.resolve();
  assert.equal(over, false);
  mock.timers.tick(1);
  await waited;
  mock.timers.reset();
});
