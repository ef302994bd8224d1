// Bytes that go straight to the store, by Uppy's AwsS3. Our server opens each upload, signs its parts and finishes it;
// those calls are ours, since the library can't send a token with its own. What it posts by itself changes nothing.
// Workers look into the files some time after they came: until then they count as being checked.

import AwsS3 from "@uppy/aws-s3";
import { AT_ONCE, passing, pause, RETRIES } from "./patience.js";
import { Session } from "./session.js";

const ASK_EVERY = 2000;
const MOST_ASKED = 100;
/** Refusals of the store that may pass (an address that was too old), but need not. */
const FEW = 5;

const json = { "Content-Type": "application/json" };
const given_up = () => new DOMException("It was given up.", "AbortError");

export class Direct {
  /** `noted(file id)`: it has an id here now. `decided([[file id, status, detail]])`: what workers found out. */
  constructor(uppy, { base, partSize, session, heard, noted, decided }) {
    Object.assign(this, { uppy, base, session, heard, noted, decided });
    this.begun = new Map();
    this.ids = new Map();
    this.tried = new Map();
    this.open = new Map();
    this.failures = 0;
    uppy.use(AwsS3, {
      limit: AT_ONCE,
      shouldUseMultipart: true,
      getChunkSize: () => partSize,
      generateObjectKey: (file) => file.id,
      signRequest: (request) => this.sign(request),
    });
    uppy.on("s3-multipart:part-uploaded", (file) => this.went(file.id));
    uppy.on("file-removed", (file) => this.cancel(file.id));
    uppy.on("pause-all", () => {
      this.paused ??= new Promise((resolve) => {
        this.goOn = resolve;
      });
    });
    for (const name of ["resume-all", "cancel-all"])
      uppy.on(name, () => {
        this.goOn?.();
        this.paused = this.goOn = null;
      });
  }

  /** Where the library sends what; without `uploadId` the key is still the file's id in this browser. */
  async sign({ method, key, uploadId, partNumber }) {
    await this.gate;
    await this.paused;
    // Whatever is removed is given up below, also what the library knows no upload of.
    if (method === "DELETE") throw given_up();
    const id = uploadId ?? (await this.begin(key));
    if (method === "PUT") return { url: await this.partUrl(id, partNumber ?? 1), key: id };
    return { url: `${this.base}/${id}`, key: id };
  }

  /** Our id of a file's upload; once, however often it is tried. */
  begin(fileId) {
    if (!this.begun.has(fileId)) {
      const file = this.uppy.getFile(fileId);
      if (!file) throw given_up();
      const body = JSON.stringify({ filename: file.name, size: file.size });
      this.begun.set(
        fileId,
        this.ask(this.base, { method: "POST", headers: json, body })
          .then(({ id }) => {
            this.ids.set(fileId, id);
            this.noted(fileId);
            return id;
          })
          .catch((error) => {
            this.begun.delete(fileId);
            throw error;
          }),
      );
    }
    return this.begun.get(fileId);
  }

  async partUrl(id, number) {
    return (await this.ask(`${this.base}/${id}/parts/${number}`)).url;
  }

  /** A file goes on that was begun before a reload. */
  recall(file, id) {
    this.ids.set(file.id, id);
    this.begun.set(file.id, Promise.resolve(id));
    file.s3Multipart = { key: id, uploadId: id };
  }

  /** The next try begins anew. */
  forget(fileId) {
    for (const kept of [this.begun, this.ids, this.tried]) kept.delete(fileId);
    if (this.uppy.getFile(fileId)) this.uppy.setFileState(fileId, { s3Multipart: undefined });
  }

  went(fileId) {
    this.tried.delete(fileId);
    this.failures = 0;
  }

  cancel(fileId) {
    const id = this.begun.get(fileId);
    this.forget(fileId);
    id?.then((known) => this.ask(`${this.base}/${known}`, { method: "DELETE" })).catch(() => {});
  }

  /** All bytes of a file are there: {status, detail} as our server says. */
  async finish(fileId, id) {
    this.begun.delete(fileId);
    this.went(fileId);
    return this.ask(`${this.base}/${id}/complete`, { method: "POST" });
  }

  /** Whether what broke off goes on by itself: then it does, after a pause that all wait for. */
  mend(file, error) {
    const gone = error.code === "upload_missing" || error.status === 404;
    const fromStore = error.code === "NETWORK" || (error.status && !error.detail);
    const tried = this.tried.get(file.id) ?? 0;
    if (!(gone || fromStore) || tried >= (passing(error.status) ? RETRIES.length : FEW)) return false;
    if (gone) this.forget(file.id);
    this.tried.set(file.id, tried + 1);
    this.heard(gone);
    this.gate ??= this.rest(this.failures++).then(() => {
      this.gate = null;
    });
    this.gate
      .then(() => this.paused)
      .then(() => {
        if (this.uppy.getFile(file.id)) this.uppy.retryUpload(file.id).catch(() => {});
      });
    return true;
  }

  /** A pause that ends early when the connection is back. */
  rest(tried) {
    const online = new Promise((resolve) => {
      window.addEventListener("online", resolve, { once: true });
    });
    return Promise.race([pause(tried), online]);
  }

  /** Our server's answer, however long that takes; throws its refusals. */
  async ask(address, request = {}) {
    for (let tried = 0; ; tried += 1) {
      await this.session.ready();
      const headers = { ...request.headers, "X-CSRFToken": this.session.token };
      const answer = await fetch(address, { ...request, headers }).catch(() => null);
      const said = (await answer?.json().catch(() => ({}))) ?? {};
      const lost =
        answer && (this.session.isRefusal(answer.status, answer.url) || Session.isStale(answer.status, said.code));
      if (lost) this.session.lose();
      else if (answer?.ok) return said;
      else if (answer?.status !== 409 && passing(answer?.status)) {
        this.heard(false, said.detail);
        await this.rest(tried);
      } else throw Object.assign(new Error(said.code), { code: said.code, detail: said.detail, status: answer.status });
    }
  }

  /** From now on ask what became of this file, until a worker has looked into it. */
  watch(fileId, id) {
    this.open.set(id, fileId);
    this.asking ??= this.askOn().finally(() => {
      this.asking = null;
    });
  }

  async askOn() {
    while (this.open.size) {
      await new Promise((resolve) => {
        setTimeout(resolve, ASK_EVERY);
      });
      const ids = [...this.open.keys()].slice(0, MOST_ASKED);
      const told = await this.ask(`${this.base}?ids=${ids.join(",")}`).catch(() => ({}));
      const found = [];
      for (const id of ids) {
        if (!told[id] || told[id].status === "checking") continue;
        found.push([this.open.get(id), told[id].status, told[id].detail]);
        this.open.delete(id);
      }
      if (found.length) this.decided(found);
    }
  }
}
