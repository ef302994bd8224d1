// Makes a picture small enough for a weak network, where it is not and where this browser can.

const LONG_SIDE = 1024;
const QUALITIES = [0.85, 0.76, 0.64];
const ENOUGH_BYTES = 160 * 1024;
const SMALL_BYTES = 250 * 1024;
const SMALL_SIDE = 1600;
const GLANCE_SIDE = 640;
const GLANCE_QUALITY = 0.8;
const NOISE = 3;

let honest = null;

/**
 * Whether a canvas gives back what was drawn on it. Browsers that hide from fingerprinting answer with noise or one
 * colour instead, and a selfie sent through such a canvas would be stripes.
 */
export function canvasIsHonest() {
  if (honest === null)
    honest = givesBack([
      [200, 40, 90],
      [20, 120, 220],
    ]);
  return honest;
}

function givesBack(colours) {
  const canvas = document.createElement("canvas");
  canvas.width = 16 * colours.length;
  canvas.height = 16;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return false;
  for (const [place, colour] of colours.entries()) {
    context.fillStyle = `rgb(${colour.join(",")})`;
    context.fillRect(16 * place, 0, 16, 16);
  }
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let pixel = 0; pixel < data.length / 4; pixel += 1) {
    const wanted = colours[Math.floor((pixel % canvas.width) / 16)];
    if (wanted.some((value, channel) => Math.abs(data[4 * pixel + channel] - value) > NOISE)) return false;
  }
  return true;
}

function draw(source, width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** WebP is a third smaller; where a browser can't make it, it makes a PNG without being asked. */
async function encode(canvas, quality) {
  for (const type of ["image/webp", "image/jpeg"]) {
    const blob = await new Promise((resolve) => {
      canvas.toBlob(resolve, type, quality);
    });
    if (blob?.type === type) return blob;
  }
  return null;
}

/** A blob as a file that says what it is. */
export function named(blob) {
  return new File([blob], `selfie.${blob.type === "image/webp" ? "webp" : "jpg"}`, { type: blob.type || "image/jpeg" });
}

/** What `source` (a video, a bitmap) shows, as a WebP or JPEG of at most 1024 px and, if it can be, 160 KB. */
export async function reduced(source, width, height) {
  const canvas = draw(source, width, height, LONG_SIDE);
  let blob = null;
  for (const quality of QUALITIES) {
    blob = await encode(canvas, quality);
    if (blob && blob.size <= ENOUGH_BYTES) break;
  }
  return blob;
}

async function bitmapOf(file) {
  if (!window.createImageBitmap) return null;
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

/**
 * A picked file as it is sent: reduced where it is heavy or large, else as it is. `shown` says whether this browser can
 * show it; one that it can't goes as it is, and the server has the last word.
 */
export async function prepared(file) {
  const bitmap = await bitmapOf(file);
  if (!bitmap) return { blob: file, shown: false };
  const small = file.size <= SMALL_BYTES && Math.max(bitmap.width, bitmap.height) <= SMALL_SIDE;
  const blob = small || !canvasIsHonest() ? file : await reduced(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return { blob: blob && blob.size < file.size ? blob : file, shown: true };
}

/** A small picture for the first look at a picture: enough to find a face in; null where it can't be made. */
export async function glance(blob) {
  const bitmap = canvasIsHonest() ? await bitmapOf(blob) : null;
  if (!bitmap) return blob.size <= SMALL_BYTES ? blob : null;
  const made = await encode(draw(bitmap, bitmap.width, bitmap.height, GLANCE_SIDE), GLANCE_QUALITY);
  bitmap.close();
  return made;
}
