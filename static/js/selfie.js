// The selfie field: live camera with an oval, or a picked file. Without this script the plain file field does the work.
import { reduced, toJpeg } from "./picture.js";

const JUST_NOW = 60_000;

/** "camera" where a phone opened its camera app for the field and the picture is that new; else "file". A guess. */
function sourceOf(file) {
  const opensCamera = "capture" in HTMLInputElement.prototype;
  return file && opensCamera && Date.now() - file.lastModified < JUST_NOW ? "camera" : "file";
}

class SelfieField {
  constructor(root) {
    this.root = root;
    this.source = root.querySelector("[data-source]");
    this.input = root.querySelector('input[type="file"]');
    this.video = root.querySelector("video");
    this.preview = root.querySelector("[data-preview]");
    this.say = root.querySelector("[data-say]");
    this.flash = root.querySelector(".flash");
    this.stream = null;
    this.words = root.dataset;
    this.on("start", () => this.startCamera());
    this.on("shoot", () => this.shoot());
    this.on("retake", () => this.startCamera());
    this.on("stop", () => this.show("idle", this.words.sayIdle));
    this.on("pick", () => this.input.click());
    this.input.addEventListener("change", () => this.picked(sourceOf(this.input.files[0])));
    window.addEventListener("pagehide", () => this.stopCamera());
    this.show("idle", this.words.sayIdle);
    if (this.input.files.length) this.picked(this.source.value); // Kept by the browser over a reload.
  }

  on(action, handler) {
    for (const button of this.root.querySelectorAll(`[data-do="${action}"]`)) button.addEventListener("click", handler);
  }

  /** Show one state: idle, live or picked. Buttons name the states in which they are there. */
  show(state, words) {
    this.root.dataset.state = state;
    this.say.textContent = words;
    for (const part of this.root.querySelectorAll("[data-in]")) part.hidden = !part.dataset.in.split(" ").includes(state);
    if (state !== "live") this.stopCamera();
  }

  async startCamera() {
    if (!navigator.mediaDevices?.getUserMedia) return this.withoutCamera();
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } }, audio: false,
      });
    } catch {
      return this.withoutCamera();
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    this.show("live", this.words.sayLive);
    this.root.querySelector('[data-do="shoot"]').focus({ preventScroll: true });
  }

  /** No camera, or no permission: the phone's own camera app or a file does as well. */
  withoutCamera() {
    this.show("idle", this.words.sayNoCamera);
    this.input.click();
  }

  stopCamera() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  async shoot() {
    if (!this.video.videoWidth) return;
    const blob = await toJpeg(this.video, this.video.videoWidth, this.video.videoHeight);
    if (!blob) return;
    this.flash.classList.remove("is-on");
    void this.flash.offsetWidth; // Restarts the animation.
    this.flash.classList.add("is-on");
    this.keep(blob, "camera", true);
  }

  async picked(source) {
    const file = this.input.files[0];
    if (!file) return;
    this.clearError();
    const blob = await reduced(file);
    if (blob) return this.keep(blob, source);
    this.preview.hidden = true;
    this.show("idle", this.words.sayUnreadable.replace("%s", file.name));
  }

  /** Put the reduced picture where the form will find it, and show it. */
  keep(blob, source, mirrored = false) {
    this.source.value = source;
    const carrier = new DataTransfer();
    carrier.items.add(new File([blob], "selfie.jpg", { type: "image/jpeg" }));
    this.input.files = carrier.files;
    if (this.preview.src) URL.revokeObjectURL(this.preview.src);
    this.preview.src = URL.createObjectURL(blob);
    this.preview.classList.toggle("is-mirrored", mirrored); // As people know themselves from mirrors.
    this.preview.hidden = false;
    this.clearError();
    this.show("picked", this.words.sayPicked);
    this.root.querySelector('[data-do="retake"]').focus({ preventScroll: true });
  }

  clearError() {
    const region = document.querySelector(`[data-error-for="${this.input.id}"]`);
    if (region) region.textContent = "";
    this.input.removeAttribute("aria-invalid");
  }
}

for (const root of document.querySelectorAll("[data-selfie]")) new SelfieField(root);
