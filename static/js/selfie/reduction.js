// Decides how small a selfie gets before it is sent: sides, qualities, and when a file goes as it is. It knows numbers
// alone; picture.js draws.

const LONG_SIDE = 1024;
const QUALITIES = [0.85, 0.76, 0.64];
const ENOUGH_BYTES = 160 * 1024;
const SMALL_BYTES = 250 * 1024;
const SMALL_SIDE = 1600;
const GLANCE_SIDE = 640;
const NOISE = 3;

export const GLANCE_QUALITY = 0.8;

/** Width and height so that the longer one is at most `side`. What is smaller stays as it is. */
function within(side, width, height) {
  const scale = Math.min(1, side / Math.max(width, height));
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

export const sentSize = (width, height) => within(LONG_SIDE, width, height);
export const glanceSize = (width, height) => within(GLANCE_SIDE, width, height);

/** Whether a file is light enough to be sent unseen. */
export const isLight = (file) => file.size <= SMALL_BYTES;

/** Whether a picked file goes as it is: it is neither heavy nor large. */
export const isSmall = (file, { width, height }) => isLight(file) && Math.max(width, height) <= SMALL_SIDE;

/** The first blob that is light enough, from the best quality down; else the last. `encode` may give null. */
export async function lightEnough(encode) {
  let blob = null;
  for (const quality of QUALITIES) {
    blob = await encode(quality);
    if (blob && blob.size <= ENOUGH_BYTES) break;
  }
  return blob;
}

/** What was made of a file, but only where that saves something. */
export const lighter = (made, file) => (made && made.size < file.size ? made : file);

/** What a selfie of this type is called. */
export const nameOf = (type) => `selfie.${type === "image/webp" ? "webp" : "jpg"}`;

/** Whether pixels (four values each, in lines) show squares of these colours side by side, each `side` wide. */
export function showsSquares(pixels, colours, side) {
  const width = side * colours.length;
  for (let pixel = 0; pixel < pixels.length / 4; pixel += 1) {
    const wanted = colours[Math.floor((pixel % width) / side)];
    if (wanted.some((value, channel) => Math.abs(pixels[4 * pixel + channel] - value) > NOISE)) return false;
  }
  return true;
}
