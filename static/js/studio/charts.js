// Draws the overview's charts from the tables beside them, and again when a poll has brought other figures.

import { BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, Tooltip } from "chart.js";

Chart.register(BarController, BarElement, CategoryScale, Legend, LinearScale, Tooltip);

const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
const drawn = new Map();

function colours() {
  const style = getComputedStyle(document.body);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    series: [value("--accent"), value("--line-strong")],
    line: value("--line"),
    ink: value("--ink-soft"),
    surface: value("--surface"),
    strong: value("--ink"),
    font: style.fontFamily,
  };
}

// The last column is the one that matters most: it takes the accent.
function read(region) {
  const names = [...region.querySelectorAll("thead th")].slice(1).map((cell) => cell.textContent);
  const rows = [...region.querySelectorAll("tbody tr")];
  const labels = rows.map((row) => row.cells[0].textContent);
  const sets = names.map((label, column) => ({
    label,
    data: rows.map((row) => Number(row.cells[column + 1].dataset.count)),
  }));
  return { labels, sets };
}

function paint(sets, colour) {
  return sets.map((set, index) => ({
    ...set,
    backgroundColor: colour.series[sets.length - 1 - index],
    borderRadius: 3,
    maxBarThickness: 28,
    categoryPercentage: 0.85,
    barPercentage: 0.95,
  }));
}

function options(colour, several) {
  const ticks = { color: colour.ink, font: { family: colour.font, size: 12 } };
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: still ? false : { duration: 320 },
    interaction: { mode: "index", intersect: false },
    plugins: {
      legend: {
        display: several,
        position: "bottom",
        labels: { color: colour.ink, boxWidth: 12, boxHeight: 12, font: ticks.font },
      },
      tooltip: {
        backgroundColor: colour.strong,
        titleColor: colour.surface,
        bodyColor: colour.surface,
        displayColors: several,
        bodyFont: ticks.font,
        titleFont: ticks.font,
      },
    },
    scales: {
      x: {
        grid: { display: false },
        border: { color: colour.line },
        ticks: { ...ticks, maxRotation: 0, autoSkipPadding: 16 },
      },
      y: {
        beginAtZero: true,
        grid: { color: colour.line },
        border: { display: false },
        ticks: { ...ticks, precision: 0, maxTicksLimit: 5 },
      },
    },
  };
}

function draw(canvas) {
  const { labels, sets } = read(document.getElementById(canvas.dataset.chart));
  canvas.parentElement.hidden = labels.length === 0;
  const said = JSON.stringify([labels, sets]);
  const known = drawn.get(canvas);
  if (known?.said === said || (!known && labels.length === 0)) return;
  const colour = colours();
  if (known) {
    // The bars that are there are changed where they stand, so that nothing flickers.
    known.chart.data.labels = labels;
    sets.forEach((set, index) => {
      known.chart.data.datasets[index].data = set.data;
    });
    known.said = said;
    known.chart.update("none");
  } else {
    const chart = new Chart(canvas, {
      type: "bar",
      data: { labels, datasets: paint(sets, colour) },
      options: options(colour, sets.length > 1),
    });
    drawn.set(canvas, { chart, said });
  }
}

function drawAll() {
  for (const canvas of document.querySelectorAll("canvas[data-chart]")) draw(canvas);
}

drawAll();
document.addEventListener("htmx:afterSettle", drawAll);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const { chart } of drawn.values()) chart.destroy();
  drawn.clear();
  drawAll();
});
