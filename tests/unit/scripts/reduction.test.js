// How small a selfie gets, and when it goes as it is.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  glanceSize,
  isLight,
  isSmall,
  lightEnough,
  lighter,
  nameOf,
  sentSize,
  showsSquares,
} from "../../../static/js/selfie/reduction.js";

const KB = 1024;
const blob = (size) => ({ size });

const SENT = [
  [4032, 3024, 1024, 768],
  [3024, 4032, 768, 1024],
  [1025, 1025, 1024, 1024],
  [1024, 768, 1024, 768],
  [640, 480, 640, 480],
  [10_000, 333, 1024, 34],
];
for (const [width, height, newWidth, newHeight] of SENT) {
  test(`${width} × ${height} is sent as ${newWidth} × ${newHeight}`, () => {
    assert.deepEqual(sentSize(width, height), { width: newWidth, height: newHeight });
  });
}

test("the first look is at a smaller picture", () => {
  assert.deepEqual(glanceSize(4032, 3024), { width: 640, height: 480 });
  assert.deepEqual(glanceSize(320, 240), { width: 320, height: 240 });
});

test("a file goes as it is where it is neither heavy nor large", () => {
  assert.equal(isLight(blob(250 * KB)), true);
  assert.equal(isLight(blob(250 * KB + 1)), false);
  assert.equal(isSmall(blob(250 * KB), { width: 1600, height: 1200 }), true);
  assert.equal(isSmall(blob(250 * KB), { width: 1200, height: 1601 }), false);
  assert.equal(isSmall(blob(250 * KB + 1), { width: 800, height: 600 }), false);
});

/** Encodes to these sizes, one after the other, and keeps the qualities that it was asked for. */
function encoder(...sizes) {
  const asked = [];
  const encode = async (quality) => {
    const size = sizes[asked.length];
    asked.push(quality);
    return size === null ? null : blob(size);
  };
  return { asked, encode };
}

test("the best quality that is light enough is taken, and no worse one tried", async () => {
  const first = encoder(160 * KB);
  assert.equal((await lightEnough(first.encode)).size, 160 * KB);
  assert.deepEqual(first.asked, [0.85]);
  const second = encoder(160 * KB + 1, 100 * KB);
  assert.equal((await lightEnough(second.encode)).size, 100 * KB);
  assert.deepEqual(second.asked, [0.85, 0.76]);
});

test("where none is light enough, the lightest goes", async () => {
  const { asked, encode } = encoder(400 * KB, 300 * KB, 200 * KB);
  assert.equal((await lightEnough(encode)).size, 200 * KB);
  assert.deepEqual(asked, [0.85, 0.76, 0.64]);
});

test("a browser that can't encode gives nothing", async () => {
  assert.equal(await lightEnough(encoder(null, null, null).encode), null);
});

test("what was made is sent only where it saves something", () => {
  const file = blob(100);
  assert.equal(lighter(null, file), file);
  assert.equal(lighter(blob(100), file), file);
  assert.equal(lighter(blob(101), file), file);
  assert.equal(lighter(blob(99), file).size, 99);
});

test("a selfie's name fits its type", () => {
  assert.equal(nameOf("image/webp"), "selfie.webp");
  assert.equal(nameOf("image/jpeg"), "selfie.jpg");
  assert.equal(nameOf(""), "selfie.jpg");
});

const COLOURS = [
  [200, 40, 90],
  [20, 120, 220],
];

/** Two squares of 16 pixels beside each other, as a canvas gives them back; `change` alters a pixel's value. */
function squares(change = (value) => value) {
  const pixels = new Uint8ClampedArray(4 * 32 * 16);
  for (let pixel = 0; pixel < 32 * 16; pixel += 1) {
    const colour = [...COLOURS[pixel % 32 < 16 ? 0 : 1], 255];
    for (const [channel, value] of colour.entries()) pixels[4 * pixel + channel] = change(value, pixel, channel);
  }
  return pixels;
}

test("a canvas that gives back what was drawn is believed, also with the rounding of a colour space", () => {
  assert.equal(showsSquares(squares(), COLOURS, 16), true);
  assert.equal(
    showsSquares(
      squares((value) => value + 3),
      COLOURS,
      16,
    ),
    true,
  );
});

for (const [what, change] of Object.entries({
  "one colour": () => 255,
  stripes: (_value, pixel, channel) => ((4 * pixel + channel) * 37) % 256,
  "one wrong pixel": (value, pixel) => (pixel === 32 * 16 - 1 ? value - 4 : value),
  "one wrong channel": (value, pixel, channel) => (pixel === 0 && channel === 2 ? value + 4 : value),
})) {
  test(`a canvas that gives back ${what} is not believed`, () => {
    assert.equal(showsSquares(squares(change), COLOURS, 16), false);
  });
}
