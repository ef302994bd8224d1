// Files whose card was pulled out are found; where none is gone, only a few are read.

import assert from "node:assert/strict";
import { test } from "node:test";
import { missingAmong } from "../../../static/js/upload/missing-files.js";
import { AT_ONCE } from "../../../static/js/upload/patience.js";

const there = { data: new Blob(["photo"]) };
const gone = { data: { slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotFoundError")) }) } };

/** The places of those that are missing, and how many were looked at. */
async function look(files) {
  const items = files.map((_, place) => ({ place }));
  const missing = [];
  let looked = 0;
  const fileOf = ({ place }) => {
    looked += 1;
    return files[place];
  };
  for await (const [item, file] of missingAmong(items, fileOf)) {
    assert.equal(file, gone);
    missing.push(item.place);
  }
  return { missing, looked };
}

const many = (file, count) => Array.from({ length: count }, () => file);

test("of a card that is there only a few files are read", async () => {
  assert.deepEqual(await look(many(there, 500)), { missing: [], looked: 2 * AT_ONCE });
});

test("once one is gone, all are looked at", async () => {
  const files = [there, gone, ...many(there, 100), gone];
  assert.deepEqual(await look(files), { missing: [1, 102], looked: 103 });
});

test("an empty file is there, and one that was taken out of the list is not missing", async () => {
  assert.deepEqual((await look([{ data: new Blob([]) }, undefined, gone])).missing, [2]);
});

test("of nothing nothing is missing", async () => assert.deepEqual(await look([]), { missing: [], looked: 0 }));
