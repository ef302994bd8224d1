// Asks about an e-mail address that seems mistyped: input[type=email][data-suggest="Did you mean {}?"]. It only asks,
// and nothing of the address leaves the page.

import { suggestion } from "./mistyped-address.js";

let pressed = false;
addEventListener(
  "pointerdown",
  () => {
    pressed = true;
  },
  true,
);
for (const end of ["pointerup", "pointercancel"])
  addEventListener(
    end,
    () => {
      pressed = false;
    },
    true,
  );

/** Not while a finger is down: the page would move under it, and what was meant to be pressed would not be. */
function afterPress(act) {
  if (!pressed) {
    setTimeout(act);
    return;
  }
  const over = new AbortController();
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(
      end,
      () => {
        over.abort();
        setTimeout(act);
      },
      { signal: over.signal },
    );
  }
}

function watch(field) {
  const region = document.createElement("div");
  region.className = "address-hint";
  region.setAttribute("role", "status");
  field.after(region);

  const ask = () => {
    const meant = suggestion(field.value);
    if (!meant) return region.replaceChildren();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button is-plain is-small";
    button.textContent = field.dataset.suggest.replace("{}", () => meant);
    button.addEventListener("click", () => {
      field.value = meant;
      region.replaceChildren();
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    });
    return region.replaceChildren(button);
  };
  field.addEventListener("change", () => afterPress(ask));
  field.addEventListener("input", () => region.replaceChildren());
}

for (const field of document.querySelectorAll('input[type="email"][data-suggest]')) watch(field);
