// Sorts what a dropped folder holds, by name: photos to send, and what is set aside and only counted. What a photo
// really is, the server finds out from its content.

const words = (text) => new Set(text.split(" "));
const RAW = words("3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f");
const VIDEO = words("3gp avi braw insv lrv m2ts m4v mkv mov mp4 mpeg mpg mts mxf r3d webm wmv");
const SIDECAR = words("aae acr cos cot dop lrcat lrdata lrtemplate lrprev on1 pp3 thm vrd xml xmp");
const SYSTEM = words("desktop.ini ehthumbs.db thumbs.db icon\r");
const HEIC = words("heic heif hif");

const suffixOf = (name) => (name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toLowerCase() : "");

/** The name without folder and suffix: what a camera gives both to a RAW file and to its JPEG. */
export const stemOf = (name) => name.slice(0, name.includes(".") ? name.lastIndexOf(".") : undefined).toLowerCase();

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

/** What was set aside, once each, and in the end grouped: a RAW file counts as covered if its JPEG is among `stems`. */
export class Aside {
  constructor() {
    this.files = new Map();
  }

  add(kind, name, path) {
    this.files.set(path || name, { kind, name });
  }

  get size() {
    return this.files.size;
  }

  /** Kind → paths; RAW files are parted into `raw` and `lonely`. */
  grouped(stems) {
    const groups = {};
    for (const [path, { kind, name }] of this.files) {
      const group = kind === "raw" && !stems.has(stemOf(name)) ? "lonely" : kind;
      (groups[group] ??= []).push(path);
    }
    return groups;
  }
}
