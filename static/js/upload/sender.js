// The upload page: what is chosen goes through Uppy, every file's state is kept in the batch, and the view draws it.

import { Uppy } from "@uppy/core";
import DropTarget from "@uppy/drop-target";
import { verdictOf } from "./answers.js";
import { Batch } from "./batch.js";
import { Direct } from "./direct.js";
import { Journal } from "./journal.js";
import { missingAmong } from "./missing-files.js";
import { Session } from "./session.js";
import { Aside, kindOf, pairKeyOf, suffixesIn } from "./sorting.js";
import { sendByTus } from "./tus.js";
import { View } from "./view.js";
import { WakeLock } from "./wake-lock.js";
import { Words } from "./words.js";

const STALLED = 60_000;
const OUTCOMES = new Set(["accepted", "duplicate", "rejected", "checking"]);

class Sender {
  constructor(root) {
    this.root = root;
    this.facts = JSON.parse(document.getElementById("upload-facts").textContent);
    this.words = new Words(this.facts.words, document.documentElement.lang);
    this.formats = suffixesIn(this.facts.accept);
    this.batch = new Batch();
    this.aside = new Aside();
    this.pairs = new Set();
    this.choice = 0;
    this.known = new Map();
    this.state = { paused: false, offline: !navigator.onLine, lost: false, dropped: 0 };
    this.view = new View(root, this);
    this.session = new Session(this.facts.state, (lost) => {
      this.state.lost = lost;
      this.view.draw();
    });
    this.journal = new Journal(this.facts.event);
    this.confirming = 0;
    this.awake = new WakeLock();
    this.uppy = this.makeUppy();
    this.listen();
    this.recall();
  }

  makeUppy() {
    const uppy = new Uppy({
      id: "findme",
      autoProceed: false,
      onBeforeFileAdded: (file, files) => this.isWanted(file, files),
      logger: { debug() {}, warn() {}, error() {} },
    });
    const heard = (ok, why = "") => {
      Object.assign(this.state, { away: !ok, why });
      if (!ok)
        this.searching ??= this.search().finally(() => {
          this.searching = null;
        });
      this.view.draw();
    };
    const common = { session: this.session, heard };
    if (this.facts.way === "s3") {
      const told = { noted: (id) => this.note(id), decided: (found) => this.decided(found) };
      this.direct = new Direct(uppy, { ...common, ...this.facts.s3, ...told });
    } else sendByTus(uppy, { ...common, files: this.facts.files });
    uppy.use(DropTarget, {
      target: document.body,
      onDragOver: () => this.root.classList.add("is-over"),
      onDragLeave: (event) => {
        if (!event.relatedTarget) this.root.classList.remove("is-over");
      },
      onDrop: () => this.root.classList.remove("is-over"),
    });
    return uppy;
  }

  listen() {
    const { uppy } = this;
    uppy.on("files-added", (files) => this.start(files));
    uppy.on("upload-progress", (file, progress) => this.progressed(file, progress));
    uppy.on("upload-success", (file, response) => this.arrived(file, response));
    uppy.on("upload-error", (file, error, response) => this.failed(file, error, response));
    for (const input of this.root.querySelectorAll('input[type="file"]')) {
      input.addEventListener("change", () => {
        this.choose(input.files);
        input.value = "";
      });
    }
    this.root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("beforeunload", (event) => {
      if (this.batch.isRunning || this.confirming) event.preventDefault();
    });
    window.addEventListener("pagehide", () => this.journal.write());
    window.addEventListener("offline", () => {
      this.state.offline = true;
      this.view.draw();
    });
    window.addEventListener("online", () => {
      this.state.offline = false;
      this.nudge();
    });
    document.addEventListener("visibilitychange", () => this.stayAwake());
    setInterval(() => this.watch(), 1000);
  }

  /** What an earlier visit left unfinished. */
  async recall() {
    this.known = await this.journal.open();
    const open = [...this.known.values()].filter((entry) => entry.state === "waiting");
    if (open.length) this.view.recall(open.map((entry) => entry.name));
    else if (this.known.size) this.forget();
    this.root.dataset.ready = "";
  }

  forget() {
    this.journal.forget();
    this.known.clear();
    this.view.recall([]);
  }

  choose(list) {
    const descriptors = [...list].map((file) => ({
      source: "page",
      name: file.name,
      type: file.type,
      data: file,
      meta: { relativePath: file.webkitRelativePath || null },
    }));
    this.uppy.addFiles(descriptors);
  }

  /** Sort a file: photos go on; what was dealt with before the reload is counted and not sent again. */
  isWanted(file, files) {
    const path = file.meta.relativePath || file.name;
    const kind = kindOf(file.name, path, this.formats);
    // Pairs lie in one choice: the cards of two cameras have the same folders, and single files none at all.
    const pair = `${this.choice}/${pairKeyOf(path)}`;
    if (kind !== "photo") {
      this.aside.add(file.id, kind, path, pair);
      return false;
    }
    this.pairs.add(pair);
    const before = this.batch.items.get(file.id);
    if (Object.hasOwn(files, file.id) || (before && before.state !== "failed")) return false;
    const entry = this.known.get(file.id);
    if (entry && OUTCOMES.has(entry.state)) {
      this.batch.add(file.id, path, file.size, entry.state, entry.detail);
      if (entry.state === "checking") this.direct?.watch(file.id, entry.s3);
      return false;
    }
    if (entry?.s3) this.direct?.recall(file, entry.s3);
    return true;
  }

  start(files) {
    this.choice += 1;
    for (const file of files) {
      const path = file.meta.relativePath || file.name;
      if (!this.batch.move(file.id, "waiting")) this.batch.add(file.id, path, file.size);
      this.note(file.id);
    }
    this.view.recall([]);
    this.view.chosen();
    if (files.length) {
      this.state.dropped = 0;
      this.stayAwake();
      this.uppy.upload().catch(() => {});
    } else if (this.batch.size && !this.batch.isRunning) this.ended();
  }

  note(id) {
    const item = this.batch.items.get(id);
    if (!item) return;
    const state = OUTCOMES.has(item.state) ? item.state : "waiting";
    const s3 = this.direct?.ids.get(id);
    this.journal.note(id, { name: item.name, state, detail: item.detail, ...(s3 && { s3 }) });
  }

  progressed(file, progress) {
    const item = file && this.batch.items.get(file.id);
    if (!item || OUTCOMES.has(item.state)) return;
    if (item.state !== "sending") this.batch.move(item.id, "sending");
    this.batch.progress(item, progress.bytesUploaded);
    this.state.away = false;
    this.moved = Date.now();
    this.view.draw();
  }

  async arrived(file, response) {
    let said = verdictOf(response.body?.xhr);
    if (this.direct) {
      this.confirming += 1;
      said = await this.direct
        .finish(file.id, response.body.key)
        .catch((error) => ({ status: "rejected", detail: error.detail }));
      this.confirming -= 1;
      if (said.status === "checking") this.direct.watch(file.id, response.body.key);
    }
    this.settle(file.id, OUTCOMES.has(said.status) ? said.status : "accepted", said.detail || "");
  }

  /** What workers found out about files that went straight to the store: [[id, status, detail]]. */
  decided(found) {
    for (const [id, status, detail] of found) {
      if (this.batch.move(id, OUTCOMES.has(status) ? status : "accepted", detail)) this.note(id);
    }
    this.view.draw();
    if (!this.batch.isRunning) this.ended();
  }

  failed(file, error, response) {
    if (this.direct?.mend(file, error)) return;
    const said = verdictOf(response?.body?.xhr);
    const refused = said.reason || error?.detail;
    this.settle(file.id, refused ? "rejected" : "failed", said.detail || error?.detail || "");
  }

  /** Set aside what is gone, as when a card was pulled out; no connection is missing then. */
  async search() {
    const open = [...this.batch.inState("sending"), ...this.batch.inState("waiting")];
    for await (const [item, file] of missingAmong(open, ({ id }) => this.uppy.getFile(id))) {
      this.state.away = false;
      this.lose(item, file);
    }
  }

  /** A file that can't be read any more: it is set aside, to be sent when it is back. */
  lose(item, { source, name, type, data, meta }) {
    this.uppy.removeFile(item.id);
    this.settle(item.id, "failed", this.words.say("gone"));
    item.gone = { source, name, type, data, meta: { relativePath: meta.relativePath } };
  }

  settle(id, state, detail) {
    if (!this.batch.move(id, state, detail)) return;
    this.note(id);
    this.view.draw();
    if (!this.batch.isRunning) this.ended();
  }

  ended() {
    this.batch.rest();
    this.stayAwake();
    if (!this.batch.counts.failed) this.journal.forget();
    this.view.draw();
    this.view.ended();
  }

  /** Send these again, from their beginning. */
  retry(items) {
    for (const item of items) {
      const file = this.uppy.getFile(item.id);
      if (!file) continue;
      this.direct?.forget(item.id);
      this.batch.move(item.id, "waiting");
      this.note(item.id);
      this.uppy.setFileState(item.id, {
        tus: { uploadUrl: null },
        progress: {
          uploadStarted: null,
          bytesUploaded: 0,
          bytesTotal: item.size,
          percentage: 0,
          uploadComplete: false,
        },
      });
    }
    for (const item of items) if (this.uppy.getFile(item.id)) this.uppy.retryUpload(item.id).catch(() => {});
    this.state.away = false;
    const gone = items.filter((item) => item.gone && !this.uppy.getFile(item.id)).map((item) => item.gone);
    if (gone.length) this.uppy.addFiles(gone);
    this.stayAwake();
    this.view.draw();
  }

  togglePause() {
    this.state.paused = !this.state.paused;
    if (this.state.paused) this.uppy.pauseAll();
    else this.uppy.resumeAll();
    this.batch.rest();
    this.moved = Date.now();
    this.stayAwake();
    this.view.draw();
  }

  cancel() {
    if (!window.confirm(this.words.say("sure"))) return;
    this.state.dropped = this.batch.dropUnsent();
    this.state.paused = false;
    this.uppy.cancelAll();
    this.journal.forget();
    this.ended();
  }

  /** Try at once instead of after the pause. */
  nudge() {
    this.moved = Date.now();
    if (!this.state.paused && this.batch.isRunning) {
      this.uppy.pauseAll();
      this.uppy.resumeAll();
    }
    this.view.draw();
  }

  /** Once a second: the figures, and a connection that is dead without saying so. */
  watch() {
    if (!this.batch.isRunning || this.state.paused) return;
    if (!this.state.offline && !this.state.lost && Date.now() - (this.moved ?? Date.now()) > STALLED) this.nudge();
    this.view.figures();
  }

  stayAwake() {
    this.awake.hold(this.batch.isRunning && !this.state.paused && !document.hidden);
  }
}

const root = document.querySelector("[data-sender]");
if (root) new Sender(root);
