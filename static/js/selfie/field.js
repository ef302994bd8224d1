// The selfie field: a camera with an oval, or a picked file, and what is thought of it at once. Without this script the
// plain file field does the work.
import { Check } from "./check.js";
import { canvasIsHonest, named, prepared, reduced } from "./picture.js";

const JUST_NOW = 60_000;

/** "camera" where a phone opened its camera app for the field and the picture is that new; else "file". A guess. */
function sourceOf(file) {
  const opensCamera = "capture" in HTMLInputElement.prototype;
  return file && opensCamera && Date.now() - file.lastModified < JUST_NOW ? "camera" : "file";
}

export class SelfieField {
  constructor(root) {
    this.root = root;
    this.form = root.closest("form");
    this.source = root.querySelector("[data-source]");
    this.input = root.querySelector('input[type="file"]');
    this.dialog = root.querySelector("dialog");
    this.video = root.querySelector("video");
    this.preview = root.querySelector("[data-preview]");
    this.verdict = root.querySelector("[data-verdict]");
    this.notice = root.querySelector("[data-notice]");
    this.flash = root.querySelector(".flash");
    this.stream = null;
    this.words = root.dataset;
    this.check = this.words.check ? new Check(this.words.check, this.form) : null;
    this.on("start", () => this.startCamera());
    this.on("shoot", () => this.shoot());
    this.on("stop", () => this.dialog.close());
    this.on("pick", () => this.pick());
    this.dialog.addEventListener("close", () => this.stopCamera());
    this.input.addEventListener("change", () => this.picked(sourceOf(this.input.files[0])));
    window.addEventListener("pagehide", () => this.dialog.close());
    this.show("idle");
    this.root.dataset.ready = "";
    if (this.input.files.length) this.picked(this.source.value); // Kept by the browser over a reload.
  }

  on(action, handler) {
    for (const button of this.root.querySelectorAll(`[data-do="${action}"]`)) button.addEventListener("click", handler);
  }

  /** Show one state: idle or picked. Parts name the states in which they are there. */
  show(state) {
    this.root.dataset.state = state;
    for (const part of this.root.querySelectorAll("[data-in]"))
      part.hidden = !part.dataset.in.split(" ").includes(state);
    this.root.dispatchEvent(new CustomEvent("selfie", { bubbles: true, detail: { state } }));
  }

  say(text) {
    this.notice.hidden = !text;
    this.notice.querySelector("p").textContent = text;
  }

  async startCamera() {
    this.say("");
    // Where pictures can't be read back from the camera's stream, the phone's own camera app takes them.
    if (!navigator.mediaDevices?.getUserMedia || !canvasIsHonest()) return this.withoutCamera(this.words.sayNoCamera);
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } },
        audio: false,
      });
    } catch (error) {
      return this.withoutCamera(this.reasonOf(error));
    }
    const shutter = this.root.querySelector('[data-do="shoot"]');
    shutter.disabled = true; // Until there is something to take.
    this.video.srcObject = this.stream;
    this.dialog.showModal();
    await this.video.play();
    shutter.disabled = false;
    shutter.focus({ preventScroll: true });
  }

  reasonOf(error) {
    if (error.name === "NotAllowedError") return this.words.sayRefused;
    return error.name === "NotReadableError" || error.name === "AbortError"
      ? this.words.sayBusy
      : this.words.sayNoCamera;
  }

  /** No camera, or no permission: the phone's own camera app or a file does as well. */
  withoutCamera(reason) {
    this.say(reason);
    this.pick();
  }

  pick() {
    this.dialog.close();
    this.input.click();
  }

  stopCamera() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  async shoot() {
    if (!this.video.videoWidth) return;
    const blob = await reduced(this.video, this.video.videoWidth, this.video.videoHeight);
    if (!blob) return this.withoutCamera(this.words.sayNoCamera);
    this.flash.classList.remove("is-on");
    void this.flash.offsetWidth; // Restarts the animation.
    this.flash.classList.add("is-on");
    this.dialog.close();
    this.keep(named(blob), "camera", true);
  }

  async picked(source) {
    const file = this.input.files[0];
    if (!file) return;
    this.clearError();
    const { blob, shown } = await prepared(file);
    const kept = blob === file ? file : named(blob);
    this.keep(kept, source, false, shown ? "" : this.words.sayUnreadable.replace("%s", file.name));
  }

  /** Put the picture where the form will find it, show it, and ask what is thought of it. */
  keep(file, source, mirrored, notice = "") {
    this.source.value = source;
    const carrier = new DataTransfer();
    carrier.items.add(file);
    this.input.files = carrier.files;
    if (this.preview.src) URL.revokeObjectURL(this.preview.src);
    this.preview.hidden = Boolean(notice);
    if (!notice) this.preview.src = URL.createObjectURL(file);
    this.preview.classList.toggle("is-mirrored", mirrored); // As people know themselves from mirrors.
    this.clearError();
    this.say(notice);
    this.show("picked");
    this.judge(file);
  }

  async judge(file) {
    if (!this.check) return;
    this.tell("checking", this.words.sayChecking);
    const said = await this.check.ask(file, this.words.angle);
    if (this.input.files[0] !== file) return;
    if (said?.valid) this.tell("good", said.detail);
    else if (said?.valid === false) this.tell("bad", said.detail);
    else this.tell("", this.words.sayLater);
  }

  tell(kind, text) {
    this.verdict.dataset.kind = kind;
    this.verdict.querySelector("p").textContent = text;
  }

  clearError() {
    const region = document.querySelector(`[data-error-for="${this.input.id}"]`);
    if (region) region.textContent = "";
    this.input.removeAttribute("aria-invalid");
  }
}

for (const root of document.querySelectorAll("[data-selfie]")) new SelfieField(root);
window.earlyTap?.click();
window.earlyTap = null;
