// Drawings: the line nearest to the pointer is told; axes of hyperparameters can be brushed.
function linesOf(chart) {
  if (chart.lines) return chart.lines;
  chart.lines = [...chart.querySelectorAll("[data-t]")].map((own) => {
    const path = own.matches("path") ? own : own.querySelector(".l");
    const numbers = path.getAttribute("d").match(/-?[\d.]+/g).map(Number);
    const x = numbers.filter((_, place) => place % 2 === 0), y = numbers.filter((_, place) => place % 2 === 1);
    return { own, n: Number(own.dataset.t), x, y };
  });
  return chart.lines;
}

function toUser(chart, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
  return [at.x, at.y];
}

function distance(line, x, y) {
  const last = line.x.length - 1;
  if (x <= line.x[0]) return Math.hypot(x - line.x[0], y - line.y[0]);
  if (x >= line.x[last]) return Math.hypot(x - line.x[last], y - line.y[last]);
  const next = line.x.findIndex((other) => other >= x);
  const share = (x - line.x[next - 1]) / (line.x[next] - line.x[next - 1]);
  return Math.abs(y - line.y[next - 1] - share * (line.y[next] - line.y[next - 1]));
}

function nearest(chart, x, y) {
  let best = null, least = 30;
  for (const line of linesOf(chart)) {
    if (line.own.classList.contains("off")) continue;
    const far = distance(line, x, y);
    if (far < least) [best, least] = [line, far];
  }
  return best;
}

function watch(chart, which = 0) {
  const hasEpochs = !chart.classList.contains("parallel");
  const look = (event) => {
    const [x, y] = toUser(chart, event);
    const line = nearest(chart, x, y);
    heat(line ? line.n : null);
    if (!line) return tell(null);
    const trial = trials.get(line.n);
    const known = trial.y[which].flatMap((value, place) => (value === null ? [] : [place]));
    const near = line.x.reduce((best, at, place) => (Math.abs(at - x) < Math.abs(line.x[best] - x) ? place : best), 0);
    tell(about(trial, hasEpochs ? known[near] : undefined, which), event);
  };
  chart.addEventListener("pointermove", look);
  chart.addEventListener("pointerdown", look);
  chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { heat(null); tell(null); } });
}

const brushes = new Map(); // chart -> Map(axis -> [top, bottom])

function passing(chart) {
  const own = [...(brushes.get(chart) ?? [])];
  return linesOf(chart).filter((line) => own.every(([axis, [top, bottom]]) => line.y[axis] >= top && line.y[axis] <= bottom)).map((line) => line.n);
}

function sift() {
  const active = [...brushes].filter(([, axes]) => axes.size).map(([chart]) => chart);
  const kept = new Set(active.flatMap(passing));
  for (const chart of document.querySelectorAll("svg.chart:not(.compared)")) {
    for (const line of linesOf(chart)) line.own.classList.toggle("off", active.length > 0 && !kept.has(line.n));
  }
  const of = active.reduce((sum, chart) => sum + linesOf(chart).length, 0);
  find("brushed").textContent = active.length ? `${kept.size} of ${of} trials pass.` : "";
  for (const id of ["compare-brushed", "clear-brushes"]) find(id).hidden = !active.length;
  return data.trials.map((trial) => trial.n).filter((n) => kept.has(n)); // best first
}

function brush(chart, axis, place) {
  const strip = axis.querySelector(".strip"), drawn = axis.querySelector(".brush");
  let from = null;
  const set = (range) => {
    if (!brushes.has(chart)) brushes.set(chart, new Map());
    if (range) brushes.get(chart).set(place, range);
    else brushes.get(chart).delete(place);
    drawn.setAttribute("y", range ? range[0] : 0);
    drawn.setAttribute("height", range ? range[1] - range[0] : 0);
    sift();
  };
  strip.addEventListener("pointerdown", (event) => {
    from = toUser(chart, event)[1];
    strip.setPointerCapture(event.pointerId);
  });
  strip.addEventListener("pointermove", (event) => {
    if (from === null) return;
    event.stopPropagation();
    tell(null);
    const to = toUser(chart, event)[1];
    if (Math.abs(to - from) > 4) set([Math.min(from, to), Math.max(from, to)]);
  });
  strip.addEventListener("pointerup", (event) => {
    if (from !== null && Math.abs(toUser(chart, event)[1] - from) <= 4) set(null);
    from = null;
  });
  strip.addEventListener("pointercancel", () => { from = null; });
  axis.clear = () => set(null);
}

for (const chart of document.querySelectorAll("svg.chart")) {
  watch(chart);
  chart.querySelectorAll(".axis").forEach((axis, place) => brush(chart, axis, place));
}
find("clear-brushes")?.addEventListener("click", () => document.querySelectorAll(".axis").forEach((axis) => axis.clear()));
find("compare-brushed")?.addEventListener("click", () => {
  compared.set(sift());
  find("compare").scrollIntoView();
});
document.addEventListener("scroll", () => tell(null), { passive: true });
document.addEventListener("pointerdown", (event) => { if (!event.target.closest("svg.chart")) tell(null); });
