// What an earlier visit noted is there for the next one, for each event by itself. IndexedDB is a real one, in memory.

import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { IDBFactory } from "fake-indexeddb";
import { Journal } from "../../../static/js/upload/journal.js";

const waiting = (name) => ({ name, state: "waiting", detail: "" });
const accepted = (name) => ({ name, state: "accepted", detail: "" });

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory();
});

async function opened(event = "event") {
  const journal = new Journal(event);
  return { journal, known: await journal.open() };
}

/** What a later visit finds. */
const found = async (event) => Object.fromEntries((await opened(event)).known);

test("a browser that has noted nothing knows nothing", async () => {
  assert.deepEqual(await found(), {});
});

test("what became of a file is written at once", async () => {
  const { journal } = await opened();
  journal.note("a", { ...accepted("a.jpg"), s3: "upload-1" });
  assert.equal(journal.changed.size, 0);
  assert.deepEqual(await found(), { a: { ...accepted("a.jpg"), s3: "upload-1" } });
});

test("files that wait are written together after a moment", async () => {
  const { journal } = await opened();
  mock.timers.enable({ apis: ["setTimeout"] });
  journal.note("a", waiting("a.jpg"));
  journal.note("b", waiting("b.jpg"));
  mock.timers.tick(299);
  assert.equal(journal.changed.size, 2);
  mock.timers.tick(1);
  mock.timers.reset();
  assert.equal(journal.changed.size, 0);
  assert.deepEqual(await found(), { a: waiting("a.jpg"), b: waiting("b.jpg") });
});

test("what still waits is written with the first outcome, and before the page goes", async () => {
  const { journal } = await opened();
  journal.note("a", waiting("a.jpg"));
  journal.note("b", accepted("b.jpg"));
  assert.deepEqual(await found(), { a: waiting("a.jpg"), b: accepted("b.jpg") });
  journal.note("c", waiting("c.jpg"));
  journal.write();
  assert.deepEqual(Object.keys(await found()), ["a", "b", "c"]);
});

test("the last note about a file counts", async () => {
  const { journal } = await opened();
  journal.note("a", waiting("a.jpg"));
  journal.note("a", accepted("a.jpg"));
  assert.deepEqual(await found(), { a: accepted("a.jpg") });
});

test("events are kept apart, and one is forgotten without the others", async () => {
  const { journal: first } = await opened("1");
  const { journal: second } = await opened("10");
  first.note("a", accepted("a.jpg"));
  second.note("b", accepted("b.jpg"));
  assert.deepEqual(await found("1"), { a: accepted("a.jpg") });
  first.forget();
  assert.deepEqual(await found("1"), {});
  assert.deepEqual(await found("10"), { b: accepted("b.jpg") });
});

test("forgetting also drops what waits to be written", async () => {
  const { journal } = await opened();
  mock.timers.enable({ apis: ["setTimeout"] });
  journal.note("a", waiting("a.jpg"));
  journal.forget();
  mock.timers.tick(1000);
  mock.timers.reset();
  journal.write();
  assert.deepEqual(await found(), {});
});

test("where nothing can be kept, nothing is, and nothing breaks", async () => {
  globalThis.indexedDB = undefined;
  const { journal, known } = await opened();
  assert.equal(known.size, 0);
  journal.note("a", accepted("a.jpg"));
  journal.write();
  journal.forget();
});
