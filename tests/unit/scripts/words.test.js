// Sentences take their values and their plural in the page's language.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Words } from "../../../static/js/upload/words.js";

const SENTENCES = {
  all_in: "Everything is in.",
  photos: ["{count} photo of {name}", "{count} photos of {name}"],
  megabytes: "{size} MB",
  gigabytes: "{size} GB",
  left_soon: "soon",
  left_minutes: ["{count} minute", "{count} minutes"],
  left_hours: "{hours} h {minutes} min",
};
const english = new Words(SENTENCES, "en");
const french = new Words(SENTENCES, "fr");
/** Formats use several kinds of spaces between thousands. */
const plain = (text) => text.replace(/\s/g, " ");

test("a sentence without values stays as it is", () => assert.equal(english.say("all_in"), "Everything is in."));

for (const [words, language, forms] of [
  [english, "English", { 0: "0 photos", 1: "1 photo", 2: "2 photos", 1000: "1,000 photos" }],
  [french, "French", { 0: "0 photo", 1: "1 photo", 2: "2 photos", 12345: "12 345 photos", 1e6: "1 000 000 photos" }],
]) {
  for (const [count, expected] of Object.entries(forms)) {
    test(`${expected} in ${language}`, () => {
      assert.equal(plain(words.say("photos", { count: Number(count), name: "Ada" })), `${expected} of Ada`);
    });
  }
}

test("a value with braces is no place for another", () => {
  assert.equal(english.say("photos", { count: 1, name: "{count}$&" }), "1 photo of {count}$&");
});

test("sizes are told in the unit that people use", () => {
  assert.equal(english.size(0), "0 MB");
  assert.equal(english.size(40_000), "0 MB");
  assert.equal(english.size(60_000), "0.1 MB");
  assert.equal(english.size(12_340_000), "12.3 MB");
  assert.equal(english.size(999_000_000), "999 MB");
  assert.equal(english.size(1_000_000_000), "1 GB");
  assert.equal(french.size(1_550_000_000), "1,6 GB");
});

const LEFT = {
  0: "soon",
  49: "soon",
  50: "1 minute",
  89: "1 minute",
  90: "2 minutes",
  3569: "59 minutes",
  3570: "1 h 0 min",
  5400: "1 h 30 min",
  90000: "25 h 0 min",
};
for (const [seconds, expected] of Object.entries(LEFT)) {
  test(`${seconds} s are told as ${expected}`, () => assert.equal(english.left(Number(seconds)), expected));
}
