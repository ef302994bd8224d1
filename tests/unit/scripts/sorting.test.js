// What a dropped folder holds is sorted by name, and a RAW file finds its JPEG across folders that differ in kind alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Aside, kindOf, pairKeyOf, suffixesIn } from "../../../static/js/upload/sorting.js";

const FORMATS = new Set(["jpg", "jpeg", "png", "webp"]);
const WITH_HEIC = new Set([...FORMATS, "heic", "heif", "hif"]);
const kind = (path, formats = FORMATS) => kindOf(path.split("/").pop(), path, formats);

const KINDS = {
  photo: ["IMG_1.JPG", "IMG_1.jpeg", "a/b/IMG_1.png", "two.dots.jpg", "un été.webp"],
  raw: ["IMG_1.CR3", "IMG_1.nef", "DCIM/100CANON/IMG_1.CR2", "IMG_1.jpg.dng"],
  video: ["MVI_1.MP4", "clip.mov"],
  sidecar: ["IMG_1.xmp", "IMG_1.JPG.XMP", "IMG_1.AAE"],
  heic: ["IMG_1.HEIC", "IMG_1.hif"],
  other: ["notes.txt", "README", "IMG_1.jpg.part", "jpg", "trailing."],
  system: [
    ".DS_Store",
    "._IMG_1.JPG",
    "Thumbs.db",
    "DESKTOP.INI",
    "Icon\r",
    "__MACOSX/IMG_1.JPG",
    ".Trashes/501/IMG_1.JPG",
    "card/.hidden/IMG_1.CR3",
  ],
};

for (const [expected, paths] of Object.entries(KINDS)) {
  for (const path of paths) {
    test(`${JSON.stringify(path)} is of kind ${expected}`, () => assert.equal(kind(path), expected));
  }
}

test("a HEIC picture is a photo where the installation can read it", () => {
  assert.equal(kind("IMG_1.HEIC", WITH_HEIC), "photo");
  assert.equal(kind("IMG_1.HEIC"), "heic");
});

test("a file without a folder is sorted by its name alone", () => {
  assert.equal(kindOf("IMG_1.JPG", "", FORMATS), "photo");
  assert.equal(kindOf("IMG_1.JPG", null, FORMATS), "photo");
});

test("a folder whose name merely has a dot hides nothing", () => {
  assert.equal(kind("2026.05.wedding/IMG_1.JPG"), "photo");
});

test("photos are what the page's file field accepts, and JPEG by all its names", () => {
  const formats = suffixesIn("image/jpeg,.jpg,.jpeg,image/png,.png");
  assert.deepEqual(formats, new Set(["jpg", "jpeg", "png", "jpe", "jfif"]));
  assert.equal(kindOf("IMG_1.JFIF", "IMG_1.JFIF", formats), "photo");
});

const PAIRS = [
  ["IMG_1.CR3", "IMG_1.JPG"],
  ["day/IMG_1.CR3", "day/img_1.jpg"],
  ["day/RAW/IMG_1.CR3", "day/JPG/IMG_1.JPG"],
  ["day/IMG_1.CR3", "day/JPEGs/IMG_1.JPG"],
  ["CAM_A_RAW/IMG_1.NEF", "CAM_A/IMG_1.JPG"],
  ["CAM_A (RAW)/IMG_1.NEF", "CAM_A.JPG/IMG_1.JPG"],
  ["CAM_A_CR3/IMG_1.CR3", "CAM_A-photos/IMG_1.HEIC"],
  ["/day/IMG_1.CR3", "day/IMG_1.JPG"],
];
const STRANGERS = [
  ["CAM_A/IMG_1.CR3", "CAM_B/IMG_1.JPG"],
  ["CAM_A_RAW/IMG_1.CR3", "CAM_B_JPG/IMG_1.JPG"],
  ["CAM_A/RAW/IMG_1.CR3", "CAM_B/JPG/IMG_1.JPG"],
  ["100CANON/IMG_1.CR3", "101CANON/IMG_1.JPG"],
  ["RAW/CAM_A/IMG_1.CR3", "JPG/CAM_A/IMG_1.JPG"],
  ["day/IMG_1.CR3", "day/IMG_2.JPG"],
  ["day/IMG_1.CR3", "day/IMG_1-edited.JPG"],
];

for (const [raw, jpeg] of PAIRS) {
  test(`${raw} and ${jpeg} are one shot`, () => assert.equal(pairKeyOf(raw), pairKeyOf(jpeg)));
}
for (const [raw, jpeg] of STRANGERS) {
  test(`${raw} and ${jpeg} are two shots`, () => assert.notEqual(pairKeyOf(raw), pairKeyOf(jpeg)));
}

/** What is set aside of these paths, as the page does it for one choice of files. */
function sorted(paths) {
  const aside = new Aside();
  const pairs = new Set();
  for (const path of paths) {
    if (kind(path) === "photo") pairs.add(pairKeyOf(path));
    else aside.add(path, kind(path), path, pairKeyOf(path));
  }
  return { aside, groups: aside.grouped(pairs) };
}

test("of two cameras with the same numbers each RAW file is covered by the JPEG of its own camera alone", () => {
  const { groups } = sorted(["A/IMG_1.CR3", "A/IMG_1.JPG", "B/IMG_1.CR3", "B/IMG_2.JPG"]);
  assert.deepEqual(groups, { raw: ["A/IMG_1.CR3"], lonely: ["B/IMG_1.CR3"] });
});

test("what is set aside is grouped by kind, in the order in which it came", () => {
  const { aside, groups } = sorted(["b.mp4", ".DS_Store", "a.mov", "1.xmp", "1.jpg", "1.nef"]);
  assert.deepEqual(groups, { video: ["b.mp4", "a.mov"], system: [".DS_Store"], sidecar: ["1.xmp"], raw: ["1.nef"] });
  assert.equal(aside.size, 5);
});

test("a file that is chosen twice is set aside once, and covered by the JPEG of either choice", () => {
  const aside = new Aside();
  aside.add("id", "raw", "IMG_1.CR3", "0/img_1");
  assert.deepEqual(aside.grouped(new Set(["1/img_1"])), { lonely: ["IMG_1.CR3"] });
  aside.add("id", "raw", "IMG_1.CR3", "1/img_1");
  assert.equal(aside.size, 1);
  assert.deepEqual(aside.grouped(new Set(["1/img_1"])), { raw: ["IMG_1.CR3"] });
  assert.deepEqual(aside.grouped(new Set(["0/img_1"])), { raw: ["IMG_1.CR3"] });
});

test("only RAW files are lonely", () => {
  const aside = new Aside();
  aside.add("id", "video", "clip.mp4", "0/clip");
  assert.deepEqual(aside.grouped(new Set()), { video: ["clip.mp4"] });
});
