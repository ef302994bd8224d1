// The photographer's grid: choosing many photos, asking before, and the keys of one photo. Without it forms do the work.

import htmx from "htmx.org";

const form = document.getElementById("desk-form");
const answer = document.getElementById("desk-answer");

class Choosing {
  constructor() {
    this.all = form.elements.all;
    this.last = null;
    form.addEventListener("click", (event) => this.clicked(event));
    form.addEventListener("change", (event) => this.changed(event));
    form.querySelector("[data-clear]")?.addEventListener("click", () => this.clear());
    document.addEventListener("htmx:load", () => this.tell());
    document.body.addEventListener("shots-done", () => this.clear());
    document.body.addEventListener("shots-anew", () => this.anew());
    this.tell(); // Boxes that the browser kept over a reload count.
  }

  boxes() {
    return [...form.querySelectorAll('input[name="ids"]')];
  }

  /** With the shift key all photos between the last one and this one are chosen, or left, alike. */
  clicked(event) {
    const box = event.target.closest?.('input[name="ids"]');
    if (!box) return;
    if (event.shiftKey && this.last?.isConnected) {
      const boxes = this.boxes();
      const [from, to] = [boxes.indexOf(this.last), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const one of boxes.slice(from, to + 1)) one.checked = box.checked;
    }
    this.last = box;
    this.tell();
  }

  changed(event) {
    if (event.target.name === "ids" && !event.target.checked && this.all) this.all.checked = false;
    this.tell();
  }

  clear() {
    for (const box of this.boxes()) box.checked = false;
    if (this.all) this.all.checked = false;
    form.querySelector("details.rest")?.removeAttribute("open");
    this.tell();
  }

  tell() {
    const all = Boolean(this.all?.checked);
    const count = all ? Number(form.dataset.total) : this.boxes().filter((box) => box.checked).length;
    form.classList.toggle("has-chosen", count > 0);
    form.classList.toggle("is-all", all);
    const words = form.querySelector("[data-chosen]");
    const text = count ? form.dataset.sayChosen.replace("%s", count.toLocaleString(document.documentElement.lang)) : "";
    if (words && words.textContent !== text) words.textContent = text;
  }

  /** Too much has changed for single tiles: the same page of the grid is fetched again. */
  anew() {
    this.clear();
    htmx.ajax("GET", window.location.href, { target: "#grid", select: "#grid", swap: "outerHTML" });
  }
}

if (form) {
  new Choosing();
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target === answer) answer.querySelector("[data-ask]")?.showModal();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-dismiss]");
    if (!button || !answer.contains(button)) return;
    event.preventDefault();
    answer.replaceChildren();
  });
}

// A chosen filter counts at once.
document.addEventListener("change", (event) => event.target.closest("[data-facets]")?.requestSubmit());

// Arrow keys turn from photo to photo, Escape goes back to all of them.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
  const wanted = { ArrowLeft: '.turns [rel="prev"]', ArrowRight: '.turns [rel="next"]', Escape: "[data-up]" }[
    event.key
  ];
  const link = wanted && document.querySelector(wanted);
  if (link) link.click();
});
