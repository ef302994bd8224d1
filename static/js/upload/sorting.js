// Sorts what a dropped folder holds, by name: photos to send, and what is set aside and only counted. What a photo
// really is, the server finds out from its content.

const words = (text) => new Set(text.split(" "));
const RAW = words(
  "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f",
);
const VIDEO = words("3gp avi braw insv lrv m2ts m4v mkv mov mp4 mpeg mpg mts mxf r3d webm wmv");
const SIDECAR = words("aae acr cos cot dop lrcat lrdata lrtemplate lrprev on1 pp3 thm vrd xml xmp");
const SYSTEM = words("desktop.ini ehthumbs.db thumbs.db icon\r");
const HEIC = words("heic heif hif");

const suffixOf = (name) => (name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toLowerCase() : "");

const KINDS_OF_FILES = new Set([
  ...RAW,
  ...words("raws jpg jpgs jpeg jpegs jpe heic heif hif avif photo photos picture pictures file files"),
]);

/** The suffixes that a file field's `accept` names, with JPEG's two rare ones. */
export const suffixesIn = (accept) =>
  new Set(
    accept
      .split(",")
      .filter((end) => end.startsWith("."))
      .map((end) => end.slice(1))
      .concat("jpe", "jfif"),
  );

/**
 * What a RAW file and its JPEG have in common: the name without suffix, and the folder, where folders that differ only
 * in the kind of their files ("RAW" and "JPG", "CAM_A_RAW" and "CAM_A") are the same. Two cameras use the same numbers,
 * so other folders never pair.
 */
export function pairKeyOf(path) {
  const parts = path.toLowerCase().split("/").filter(Boolean);
  const name = parts.pop() ?? "";
  const stem = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : name;
  const last = (parts.pop() ?? "")
    .split(/[\s_.()-]+/)
    .filter((word) => word && !KINDS_OF_FILES.has(word))
    .join("_");
  return [...parts, last, stem].filter(Boolean).join("/");
}

/** One of photo, raw, video, sidecar, system, heic (a photo that this installation can't read) and other. */
export function kindOf(name, path, formats) {
  const folders = (path || "").split("/").slice(0, -1);
  const hidden = name.startsWith(".") || folders.some((part) => part === "__MACOSX" || part.startsWith("."));
  if (hidden || SYSTEM.has(name.toLowerCase())) return "system";
  const suffix = suffixOf(name);
  if (formats.has(suffix)) return "photo";
  if (RAW.has(suffix)) return "raw";
  if (VIDEO.has(suffix)) return "video";
  if (SIDECAR.has(suffix)) return "sidecar";
  return HEIC.has(suffix) ? "heic" : "other";
}

/** What was set aside, once each, and in the end grouped: a RAW file counts as covered if its JPEG is among `pairs`. */
export class Aside {
  constructor() {
    this.files = new Map();
  }

  /** `pair` is the key by which a RAW file finds its JPEG. A file that was chosen before may find it this time. */
  add(id, kind, path, pair) {
    const file = this.files.get(id) ?? { kind, path, pairs: new Set() };
    file.pairs.add(pair);
    this.files.set(id, file);
  }

  get size() {
    return this.files.size;
  }

  /** Kind → paths; RAW files are parted into `raw` and `lonely`. */
  grouped(pairs) {
    const groups = {};
    for (const { kind, path, pairs: own } of this.files.values()) {
      const isLonely = kind === "raw" && ![...own].some((pair) => pairs.has(pair));
      const group = isLonely ? "lonely" : kind;
      groups[group] ??= [];
      groups[group].push(path);
    }
    return groups;
  }
}
