// Sends photos one a request, four at a time, with their own progress. Without it the form sends them all in one go.

const AT_ONCE = 4;
const TRIES = 4;

class Uploader {
  constructor(form) {
    this.form = form;
    this.input = form.querySelector('input[type="file"]');
    this.list = document.getElementById("uploads");
    this.summary = document.getElementById("upload-summary");
    this.words = form.dataset;
    this.waiting = [];
    this.running = 0;
    this.total = 0;
    this.done = 0;
    this.sums = { accepted: 0, duplicate: 0, rejected: 0, lost: 0 };
    this.input.addEventListener("change", () => { this.add(this.input.files); this.input.value = ""; });
    form.addEventListener("submit", (event) => { event.preventDefault(); event.stopPropagation(); this.add(this.input.files); }, true);
    this.acceptDrops(form.querySelector(".drop"));
    window.addEventListener("beforeunload", (event) => { if (this.running) event.preventDefault(); });
  }

  acceptDrops(zone) {
    for (const name of ["dragenter", "dragover"]) {
      zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("is-over"); });
    }
    zone.addEventListener("dragleave", (event) => { if (!zone.contains(event.relatedTarget)) zone.classList.remove("is-over"); });
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("is-over");
      this.add(event.dataTransfer.files);
    });
  }

  add(files) {
    for (const file of files) {
      const row = this.newRow(file);
      this.list.append(row);
      this.waiting.push({ file, row, tries: 0 });
      this.total += 1;
    }
    this.next();
  }

  newRow(file) {
    const row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
    row.querySelector(".name").textContent = file.name;
    return row;
  }

  next() {
    this.tell();
    while (this.running < AT_ONCE && this.waiting.length) {
      this.running += 1;
      this.send(this.waiting.shift());
    }
  }

  send(item) {
    const request = new XMLHttpRequest();
    const body = new FormData();
    body.append("files", item.file, item.file.name);
    request.open("POST", this.form.action);
    request.setRequestHeader("X-CSRFToken", this.form.elements.csrf_token.value);
    request.setRequestHeader("HX-Request", "true");
    const bar = item.row.querySelector("progress");
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = (event.loaded / event.total) * 100; };
    request.onload = () => (request.status >= 500 ? this.again(item) : this.answered(item, request));
    request.onerror = () => this.again(item);
    request.send(body);
  }

  /** A lost connection or a restart: the same file is sent again after a growing pause; twice is once, by its bytes. */
  again(item) {
    item.tries += 1;
    if (item.tries >= TRIES) return this.lost(item);
    this.running -= 1;
    setTimeout(() => { this.waiting.unshift(item); this.next(); }, 1000 * 2 ** item.tries);
  }

  lost(item) {
    item.row.querySelector("[data-state]").textContent = this.words.sayFailed;
    item.row.querySelector("[data-state]").classList.add("is-bad");
    this.finished("lost");
  }

  /** The server's own words about the file take the row's place, behind those that are still on their way. */
  answered(item, request) {
    const answer = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("li[data-status]");
    if (!answer) return this.lost(item);
    item.row.remove();
    this.list.append(answer);
    this.finished(answer.dataset.status);
  }

  finished(status) {
    this.running -= 1;
    this.done += 1;
    this.sums[status] += 1;
    if (this.done === this.total) this.tidy();
    const live = document.querySelector("[data-live]");
    if (live && window.htmx && (this.done % 8 === 0 || this.done === this.total)) window.htmx.trigger(live, "wake");
    this.next();
  }

  /** At the end only what needs a look stays; the rest is in the photos below. */
  tidy() {
    for (const row of this.list.querySelectorAll('[data-status="accepted"]')) row.remove();
  }

  tell() {
    if (!this.total) return;
    this.summary.hidden = false;
    this.summary.querySelector("progress").value = (this.done / this.total) * 100;
    this.summary.querySelector("[data-count]").textContent = this.words.sayCount
      .replace("%(done)s", this.done).replace("%(total)s", this.total);
    this.summary.querySelector("[data-sum]").textContent = Object.entries(this.sums)
      .filter(([, count]) => count)
      .map(([status, count]) => this.words[`say${status[0].toUpperCase()}${status.slice(1)}`].replace("%s", count))
      .join(" · ");
  }
}

for (const form of document.querySelectorAll("[data-upload]")) new Uploader(form);
