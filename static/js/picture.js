// Makes a picture small enough for a weak network before it is sent.

const LONG_SIDE = 1280;
const QUALITIES = [0.86, 0.76, 0.64];
const ENOUGH_BYTES = 300 * 1024;

/** A JPEG of what `source` (a video, a bitmap) shows, at most 1280 px and, if it can be, 300 KB. */
export async function toJpeg(source, width, height) {
  const scale = Math.min(1, LONG_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  let blob = null;
  for (const quality of QUALITIES) {
    blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", quality); });
    if (blob && blob.size <= ENOUGH_BYTES) break;
  }
  return blob;
}

/** A picked file, reduced; null where the browser can't read it, so that the server has the last word on the file itself. */
export async function reduced(file) {
  if (!window.createImageBitmap) return null;
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const blob = await toJpeg(bitmap, bitmap.width, bitmap.height);
    bitmap.close();
    return blob;
  } catch {
    return null;
  }
}
