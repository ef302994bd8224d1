// The fields of an event, when it is new and in its settings: its timezone and its colour.

// For a new event the browser's own timezone is chosen, unless a form came back with another.
const zone = document.querySelector("select[data-guess]");
const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && zone.value === "UTC" && [...zone.options].some((option) => option.value === mine)) zone.value = mine;

// A colour that is picked is the chosen one.
document.querySelector('input[type="color"]')?.addEventListener("input", () => {
  document.querySelector('input[name="accent"][value="own"]').checked = true;
});
