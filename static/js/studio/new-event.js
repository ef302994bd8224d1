// A new event: the browser's own timezone is chosen, unless a form came back with another.
const zone = document.querySelector("select[data-guess]");
const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && zone.value === "UTC" && [...zone.options].some((option) => option.value === mine)) zone.value = mine;

// Whoever picks a colour wants it.
document.querySelector('input[type="color"]')?.addEventListener("input", () => {
  document.querySelector('input[name="accent"][value="own"]').checked = true;
});
