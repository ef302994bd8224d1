// Makes what browsers get from what we write: static/{js,css,img} and the packages that they name become static/built/files.
//
//     node static/build.mjs [--watch]
//
// Each file's name has a hash of its content, so a browser may keep it for ever. manifest.json says which file a plain
// name such as guest.css stands for (webapp/web/bundles.py reads it). Files of earlier builds stay for a day, since pages
// that are open in browsers may still ask for them.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import esbuild from "esbuild";
import { PurgeCSS } from "purgecss";
import subsetFont from "subset-font";

const STATIC = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(STATIC, "..");
const BUILT = process.env.FINDME_BUILT || join(STATIC, "built");
const FILES = join(BUILT, "files");
const MANIFEST = join(BUILT, "manifest.json");
const SUPERSEDED = join(BUILT, "superseded.json");
const DAY_MS = 24 * 3600 * 1000;

/** What gets smaller by compression; pictures and fonts are compressed already. */
const COMPRESSIBLE = new Set([".css", ".js", ".svg", ".txt", ".map"]);

/** What only developers ask for: nothing in a page that is open breaks without it. */
const NOT_SERVED_LATER = new Set([".map", ".txt"]);

/** Browsers of three years ago and later. Older ones get what they can make of it; the core works without scripts. */
const TARGET = ["chrome105", "firefox104", "safari15.4"];

const files = (folder) => readdirSync(join(ROOT, folder)).map((name) => join(ROOT, folder, name));
const text = (path) => readFileSync(path, "utf8");

/** All files below a folder of ours that end so. */
const below = (folder, end) =>
  readdirSync(join(ROOT, folder), { recursive: true })
    .filter((name) => name.endsWith(end))
    .map((name) => join(ROOT, folder, name));

// --- styles: of the frameworks only what our pages use ---

const FRAMEWORKS = ["@picocss/pico/css/pico.css", "open-props/easings.min.css", "open-props/shadows.min.css"];

/** Elements and attributes that Python writes into pages (wtforms), which stand in no template. */
const FROM_PYTHON = [
  "select",
  "option",
  "optgroup",
  "textarea",
  "checkbox",
  "radio",
  "email",
  "password",
  "date",
  "number",
  "color",
  "tel",
  "url",
  "search",
  "file",
  "aria-invalid",
  "aria-describedby",
  "disabled",
  "required",
];

/** What a template or a script may name: elements where they are written as such, all else by any word. */
function namesIn(source) {
  const words = source.match(/[\w-]+/g) ?? [];
  const tags = [...source.matchAll(/<([a-z][\w-]*)|createElement\("([\w-]+)"\)/g)].map(
    ([, written, made]) => written ?? made,
  );
  return { tags, classes: words, ids: words, attributes: { names: words, values: words }, undetermined: [] };
}

/** Where a new file may name something that no other does. */
const FOLDERS = [
  ...new Set([...below("templates", ".html"), ...below("static/js", ".js")].map((path) => dirname(path))),
];

/** Variables, and those that their values in a style sheet are made of: PurgeCSS does not look into these. */
function withTheirOwn(names, css) {
  const values = [...css.matchAll(/(--[\w-]+)\s*:([^;}]*)/g)];
  const all = new Set(names);
  // What is added while a set is walked through comes up in the same walk.
  for (const name of all) {
    for (const [, defined, value] of values) {
      if (defined === name) for (const inner of value.match(/--[\w-]+/g) ?? []) all.add(inner);
    }
  }
  return all;
}

/** What PurgeCSS takes out where it stands without an element: a state, such as the `:focus` in `:is(:active, :focus)`. */
const STATES = /^:(?!host)/;

async function trimmedFrameworks() {
  const content = [...below("templates", ".html"), ...below("static/js", ".js")];
  const styles = below("static/css", ".css").map(text).join("\n");
  const raw = FRAMEWORKS.map((name) => text(join(ROOT, "node_modules", name))).join("\n");
  const used = withTheirOwn((styles + content.map(text).join("\n")).match(/--[\w-]+/g) ?? [], raw);
  const [{ css }] = await new PurgeCSS().purge({
    content,
    css: [{ raw }],
    variables: true,
    keyframes: true,
    safelist: { standard: [...FROM_PYTHON, "html", "body", STATES], variables: [...used] },
    defaultExtractor: namesIn,
  });
  return { css, from: content };
}

const frameworks = {
  name: "frameworks",
  setup(build) {
    build.onResolve({ filter: /^trimmed:frameworks$/ }, () => ({ path: "frameworks", namespace: "trimmed" }));
    build.onLoad({ filter: /./, namespace: "trimmed" }, async () => {
      const { css, from } = await trimmedFrameworks();
      return { contents: css, loader: "css", resolveDir: ROOT, watchFiles: from, watchDirs: FOLDERS };
    });
  },
};

// --- fonts: only the letters that their unicode-range names, and the weights ---

function charactersOf(range) {
  return range
    .split(",")
    .flatMap((part) => {
      const [first, last = first] = part
        .trim()
        .replace("U+", "")
        .split("-")
        .map((code) => Number.parseInt(code, 16));
      return Array.from({ length: last - first + 1 }, (_, step) => String.fromCodePoint(first + step));
    })
    .join("");
}

/** The @font-face rule of a file in fonts.css: {weight, range}. */
function faceOf(file) {
  const rules = text(join(STATIC, "css/parts/fonts.css")).split("@font-face").slice(1);
  const rule = rules.find((one) => one.includes(basename(file)));
  if (!rule) throw new Error(`${basename(file)} has no @font-face in static/css/parts/fonts.css.`);
  return {
    weight: rule
      .match(/font-weight: ([\d ]+);/)[1]
      .split(" ")
      .map(Number),
    range: rule.match(/unicode-range: ([^;]+);/)[1],
  };
}

const fonts = {
  name: "fonts",
  setup(build) {
    build.onLoad({ filter: /-latin-(wght|[0-9]+)-normal\.woff2$/ }, async ({ path }) => {
      const { weight, range } = faceOf(path);
      const [min, max] = weight;
      const variationAxes = max ? { wght: { min, max } } : undefined;
      const contents = await subsetFont(readFileSync(path), charactersOf(range), {
        targetFormat: "woff2",
        variationAxes,
      });
      return { contents, loader: "file" };
    });
  },
};

// --- what comes out ---

/** The name by which templates ask for an output; null for what only other outputs ask for. */
function plainName(path, { entryPoint, inputs }) {
  if (entryPoint) return basename(entryPoint);
  const [source] = Object.keys(inputs);
  const font = extname(path) === ".woff2" && source && basename(source).match(/^(.+)-latin(-ext)?-(wght|\d+)-/);
  return font ? `${font[1]}${font[2] ?? ""}.woff2` : null;
}

/** Write a file that is there either whole or not at all, also where the build is ended or the disk is full. */
function put(path, contents) {
  const half = `${path}.${process.pid}.new`;
  writeFileSync(half, contents);
  renameSync(half, path);
}

function write(name, contents) {
  const path = join(FILES, name);
  if (existsSync(path)) return;
  const end = extname(name);
  if (COMPRESSIBLE.has(end)) put(`${path}.gz`, gzipSync(contents, { level: 9 }));
  // Source maps are large, and only developers ask for them.
  if (COMPRESSIBLE.has(end) && end !== ".map") {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: contents.length };
    put(`${path}.br`, brotliCompressSync(contents, { params }));
  }
  // The last one: where it is there, so are the others.
  put(path, contents);
}

const replace = (path, value) => put(path, `${JSON.stringify(value, null, 2)}\n`);

/** Remove the files of builds that were superseded more than a day ago; `current` are those of this build. */
function sweep(current) {
  const known = existsSync(SUPERSEDED) ? JSON.parse(text(SUPERSEDED)) : {};
  const since = {};
  for (const name of readdirSync(FILES)) {
    const plain = name.replace(/\.(gz|br)$/, "");
    if (current.has(plain)) continue;
    if (Date.now() - (known[plain] ?? Date.now()) > DAY_MS) rmSync(join(FILES, name), { force: true });
    else since[plain] = known[plain] ?? Date.now();
  }
  replace(SUPERSEDED, since);
}

/** The text of a script that no page asks for by a name of its own. */
function textOf(source) {
  const options = { bundle: true, write: false, minify: true, format: "iife", target: TARGET };
  return esbuild.buildSync({ entryPoints: [join(STATIC, "js", source)], ...options }).outputFiles[0].text.trim();
}

/** The script that pages have inline, and its hash for the content policy. */
function earlyScript() {
  const script = textOf("early.js");
  return { script, hash: `sha256-${createHash("sha256").update(script).digest("base64")}` };
}

function deliver({ outputFiles, metafile }) {
  mkdirSync(FILES, { recursive: true });
  const manifest = { files: {}, early: earlyScript(), worker: textOf("offline/worker.js") };
  const current = new Set();
  for (const file of outputFiles) {
    const path = relative(ROOT, file.path);
    const name = basename(path);
    const plain = plainName(path, metafile.outputs[path]);
    current.add(name);
    write(name, file.contents);
    if (plain) manifest.files[plain] = name;
  }
  manifest.all = [...current].filter((name) => !NOT_SERVED_LATER.has(extname(name)));
  replace(MANIFEST, manifest);
  sweep(current);
}

const deliverer = {
  name: "deliverer",
  setup(build) {
    build.onEnd((result) => {
      if (!result.errors.length) deliver(result);
    });
  },
};

const options = {
  absWorkingDir: ROOT,
  entryPoints: [...files("static/js/pages"), ...files("static/css/pages"), ...files("static/img")],
  outdir: FILES,
  write: false,
  bundle: true,
  minify: true,
  format: "esm",
  target: TARGET,
  sourcemap: "linked",
  legalComments: "linked",
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file", ".svg": "copy", ".png": "copy", ".ico": "copy" },
  plugins: [frameworks, fonts, deliverer],
  metafile: true,
  logLevel: "warning",
};

if (process.argv.includes("--watch")) {
  const context = await esbuild.context(options);
  await context.watch();
} else await esbuild.build(options);
