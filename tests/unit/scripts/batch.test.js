// Whatever happens to the files of a batch, its sums are those of its files.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Batch } from "../../../static/js/upload/batch.js";

const FINAL = ["accepted", "duplicate", "rejected", "checking"];
const STATES = ["waiting", "sending", "failed", ...FINAL];

/** Numbers below `limit`, the same for the same seed (mulberry32). */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** The sums, counted again from the files. */
function holds(batch) {
  const items = [...batch.items.values()];
  const sum = (read) => items.reduce((total, item) => total + read(item), 0);
  for (const state of STATES) {
    assert.equal(batch.counts[state], items.filter((item) => item.state === state).length, state);
    assert.equal(batch.inState(state).length, batch.counts[state]);
  }
  assert.equal(batch.size, items.length);
  assert.deepEqual(batch.bytes, { total: sum((item) => item.size), sent: sum((item) => item.sent) });
  assert.equal(batch.finished, items.filter((item) => !["waiting", "sending"].includes(item.state)).length);
  assert.equal(batch.isRunning, batch.finished < batch.size);
  for (const { state, size, sent } of items) {
    if (FINAL.includes(state)) assert.equal(sent, size);
    if (state === "waiting" || state === "failed") assert.equal(sent, 0);
  }
}

const ACTS = {
  add(batch, draw, step) {
    const known = draw(3) ? [] : [STATES[draw(STATES.length)]];
    batch.add(`file${step}`, `IMG_${step}.JPG`, draw(5) ? draw(20_000_000) : 0, ...known);
  },
  move(batch, draw, step) {
    batch.move(`file${draw(step + 1)}`, STATES[draw(STATES.length)], draw(2) ? "why" : undefined);
  },
  progress(batch, draw) {
    const sending = batch.inState("sending");
    const item = sending[draw(sending.length || 1)];
    if (item) batch.progress(item, draw(item.size + 1));
  },
  dropUnsent(batch, draw) {
    if (!draw(40)) batch.dropUnsent();
  },
};

for (const seed of [1, 2, 3, 20_260_501]) {
  test(`after a thousand random steps the sums add up (seed ${seed})`, () => {
    const draw = numbers(seed);
    const batch = new Batch();
    const names = Object.keys(ACTS);
    let most = 0;
    for (let step = 0; step < 1000; step += 1) {
      ACTS[names[draw(names.length)]](batch, draw, step);
      holds(batch);
      most = Math.max(most, batch.size);
    }
    assert.ok(most > 50, "the steps made a batch worth counting");
  });
}

test("a file that is not known can't be moved", () => {
  const batch = new Batch();
  assert.equal(batch.move("nothing", "sending"), null);
  holds(batch);
});

test("what was dealt with before a reload has been sent, and waits for nothing", () => {
  const batch = new Batch();
  batch.add("a", "a.jpg", 100, "duplicate", "It is there already.");
  assert.equal(batch.isRunning, false);
  assert.deepEqual(batch.bytes, { total: 100, sent: 100 });
  assert.equal(batch.inState("duplicate")[0].detail, "It is there already.");
});

test("a file that failed gives its bytes back, and keeps its reason until it moves on", () => {
  const batch = new Batch();
  const item = batch.add("a", "a.jpg", 100);
  batch.move("a", "sending");
  batch.progress(item, 60);
  assert.equal(batch.bytes.sent, 60);
  batch.move("a", "failed", "The card is gone.");
  assert.equal(batch.bytes.sent, 0);
  assert.equal(item.detail, "The card is gone.");
  batch.move("a", "waiting");
  assert.equal(item.detail, "");
});

test("stopping drops what has not been sent, and nothing else", () => {
  const batch = new Batch();
  for (const state of STATES) batch.add(state, `${state}.jpg`, 10, state);
  batch.progress(batch.items.get("sending"), 4);
  assert.equal(batch.dropUnsent(), 2);
  assert.deepEqual([...batch.items.keys()], ["failed", ...FINAL]);
  assert.deepEqual(batch.bytes, { total: 50, sent: 40 });
  assert.equal(batch.dropUnsent(), 0);
  holds(batch);
});

/** A batch of one large file, and what its speed is after `sent` bytes at `now`. */
function clocked() {
  const batch = new Batch();
  const item = batch.add("a", "a.jpg", 1e9);
  batch.move("a", "sending");
  const at = (now, sent) => {
    batch.progress(item, sent);
    return batch.speed(now);
  };
  return { batch, at };
}

test("no speed is told while too little is known", () => {
  const { at } = clocked();
  assert.equal(at(0, 0), 0);
  assert.equal(at(1500, 3000), 0);
  assert.equal(at(2000, 4000), 2000);
});

test("the speed is that of the last ten seconds", () => {
  const { at } = clocked();
  for (let second = 0; second <= 10; second += 1) at(second * 1000, second * 1000);
  let speed = 0;
  for (let second = 11; second <= 25; second += 1) speed = at(second * 1000, 10_000 + (second - 10) * 5000);
  assert.equal(speed, 5000);
});

test("a file that begins again makes no speed below nothing", () => {
  const { at } = clocked();
  at(0, 5000);
  assert.equal(at(2000, 0), 0);
});

test("after a rest the time before it is no part of the speed", () => {
  const { batch, at } = clocked();
  at(0, 0);
  at(2000, 8000);
  batch.rest();
  assert.equal(at(5000, 8000), 0);
  assert.equal(at(7000, 9000), 500);
});
