// Makes a picture small enough for a weak network, where it is not and where this browser can. reduction.js says how small.

import {
  GLANCE_QUALITY,
  glanceSize,
  isLight,
  isSmall,
  lightEnough,
  lighter,
  nameOf,
  sentSize,
  showsSquares,
} from "./reduction.js";

const SQUARE = 16;

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
  canvas.width = SQUARE * colours.length;
  canvas.height = SQUARE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return false;
  for (const [place, colour] of colours.entries()) {
    context.fillStyle = `rgb(${colour.join(",")})`;
    context.fillRect(SQUARE * place, 0, SQUARE, SQUARE);
  }
  return showsSquares(context.getImageData(0, 0, canvas.width, canvas.height).data, colours, SQUARE);
}

function draw(source, { width, height }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
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
  return new File([blob], nameOf(blob.type), { type: blob.type || "image/jpeg" });
}

/** What `source` (a video, a bitmap) shows, as a WebP or JPEG of at most 1024 px and, if it can be, 160 KB. */
export async function reduced(source, width, height) {
  const canvas = draw(source, sentSize(width, height));
  return lightEnough((quality) => encode(canvas, quality));
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
  const asItIs = isSmall(file, bitmap) || !canvasIsHonest();
  const blob = asItIs ? file : await reduced(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return { blob: lighter(blob, file), shown: true };
}

/** A small picture for the first look at a picture: enough to find a face in; null where it can't be made. */
export async function glance(blob) {
  const bitmap = canvasIsHonest() ? await bitmapOf(blob) : null;
  if (!bitmap) return isLight(blob) ? blob : null;
  const made = await encode(draw(bitmap, glanceSize(bitmap.width, bitmap.height)), GLANCE_QUALITY);
  bitmap.close();
  return made;
}
