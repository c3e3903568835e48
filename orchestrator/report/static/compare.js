// Trials side by side: curves above, then a column for each.
const MOST = Number(find("compare-chart").dataset.most);
const look = (place) => `t a${place % data.colours} d${Math.floor(place / data.colours) % 3}`;

function numbersIn(text) {
  const found = [];
  for (const part of text.split(/[\s,;]+/)) {
    const range = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(part);
    if (!range) continue;
    const from = Number(range[1]), to = Math.min(Number(range[2] ?? range[1]), from + 10 * MOST);
    for (let n = from; n <= to; n += 1) found.push(n);
  }
  return found;
}

function inRanges(numbers) {
  const runs = [];
  for (const n of numbers) {
    const last = runs.at(-1);
    if (last && n === last[1] + 1) last[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([from, to]) => (to > from + 1 ? `${from}-${to}` : to > from ? `${from}, ${to}` : `${from}`)).join(", ");
}

function ticks(low, high, most) {
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at <= high / step + 1e-9; at += 1) found.push(Number((at * step).toPrecision(10)));
  return found;
}

// Numbers at the ends of lines that would stand on each other are moved down.
function apart(labels) {
  labels.sort((one, other) => one.y - other.y);
  labels.forEach((label, place) => {
    const above = labels.slice(0, place).filter((other) => Math.abs(other.x - label.x) < 30).at(-1);
    if (above) label.y = Math.max(label.y, above.y + 12);
  });
}

function curves(chosen, which) {
  const series = chosen.map((trial) => trial.x.map((epoch, place) => [epoch, trial.y[which][place]]).filter(([, value]) => value !== null));
  const values = series.flat().map(([, value]) => value);
  if (!values.length) return make("p", { class: "quiet" }, "No value to draw.");
  let low = Math.min(...values), high = Math.max(...values);
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const last = Math.max(2, ...series.flat().map(([epoch]) => epoch));
  const x = (epoch) => 52 + ((epoch - 1) / (last - 1)) * 628, y = (value) => 266 - ((value - low) / (high - low)) * 254;
  const grid = make("g", { class: "grid" });
  for (const value of ticks(low, high, 5)) grid.append(make("path", { d: `M52 ${y(value)}H680` }), make("text", { x: 46, y: y(value), class: "y" }, String(value)));
  for (const epoch of ticks(1, last, 8).filter(Number.isInteger)) grid.append(make("text", { x: x(epoch), y: 274, class: "x" }, String(epoch)));
  const drawn = make("svg", { viewBox: "0 0 720 300", class: `chart compared ${chosen.length > 40 ? "" : "few"}`, role: "img", "aria-label": data.curves[which] }, grid);
  const labels = [];
  chosen.forEach((trial, place) => {
    if (!series[place].length) return;
    const points = series[place].map(([epoch, value]) => `${x(epoch).toFixed(1)} ${y(value).toFixed(1)}`);
    const own = make("g", { class: look(place), "data-t": trial.n }, make("path", { class: "l", d: `M${points.join("L")}` }));
    const [endX, endY] = points.at(-1).split(" ").map(Number);
    own.append(make("path", { class: "end dot", d: `M${endX} ${endY}h0` }));
    if (chosen.length <= 12) labels.push({ x: endX + 7, y: endY, text: String(trial.n) });
    drawn.append(own);
  });
  apart(labels);
  drawn.append(...labels.map(({ x: at, y: height, text }) => make("text", { x: at, y: height + 4 }, text)));
  drawn.append(make("g", { class: "hot" }));
  watch(drawn, which);
  return drawn;
}

function rowOf(title, values, { long = false, best = null, marks = false } = {}) {
  const shown = values.map((value) => (value === null || value === undefined ? NONE : typeof value === "number" ? number(value) : String(value)));
  const top = best && values.some((value) => value !== null) ? (best === "max" ? Math.max : Math.min)(...values.filter((value) => value !== null)) : null;
  const cells = shown.map((text, place) => {
    const kinds = [long ? "long" : "", marks && text !== shown[0] ? "other" : "", top !== null && values[place] === top ? "top" : ""];
    return make("td", { class: kinds.filter(Boolean).join(" ") }, text);
  });
  return make("tr", null, make("th", { scope: "row" }, title), ...cells);
}

function part(title, width) {
  return make("tr", { class: "part" }, make("th", { scope: "rowgroup", colspan: width + 1 }, title));
}

function sideBySide(chosen, withSame) {
  const head = make("tr", null, make("th", { scope: "col" }, "trial"));
  chosen.forEach((trial, place) => head.append(make("th", { scope: "col", class: look(place) }, make("i", { class: "swatch" }), String(trial.n))));
  const rows = [
    rowOf("rank", chosen.map((trial) => trial.rank)),
    rowOf("architecture", chosen.map((trial) => data.architectures[trial.a])),
    rowOf("state", chosen.map((trial) => trial.state)),
    rowOf("why it ended", chosen.map((trial) => trial.why || NONE), { long: true }),
    rowOf("epochs (best)", chosen.map((trial) => `${trial.epochs} (${trial.best ?? NONE})`)),
    rowOf("seconds", chosen.map((trial) => trial.seconds.toFixed(1))),
  ];
  rows.push(part(withSame ? "hyperparameters; tinted: other than in the first column" : "hyperparameters that differ; tinted: other than in the first column", chosen.length));
  data.hyperparameters.forEach((name, place) => {
    const values = chosen.map((trial) => trial.h[place]);
    const differs = values.some((value) => value !== values[0]);
    if (differs || withSame) rows.push(rowOf(name, values, { marks: true }));
  });
  rows.push(part("validation, best in bold", chosen.length));
  rows.push(...data.metrics.map(({ title, better }, place) => rowOf(title, chosen.map((trial) => trial.val[place] ?? null), { best: better })));
  if (chosen.some((trial) => trial.test)) {
    rows.push(part("test [95 % interval]", chosen.length));
    data.metrics.forEach(({ title }, place) => rows.push(rowOf(title, chosen.map((trial) => trial.test?.[place] ?? null))));
  }
  return make("table", null, make("thead", null, head), make("tbody", null, ...rows));
}

function render() {
  const chosen = compared.numbers.slice(0, MOST).map((n) => trials.get(n));
  find("compare").classList.toggle("used", chosen.length > 0);
  find("compare-said").textContent = compared.numbers.length > MOST ? `The first ${MOST} of ${compared.numbers.length} trials are shown.` : "";
  find("compare-chart").replaceChildren(...(chosen.length ? [curves(chosen, find("compare-curve").selectedIndex)] : []));
  find("compare-table").replaceChildren(...(chosen.length ? [sideBySide(chosen, find("compare-all").checked)] : []));
}

find("compare-curve").append(...data.curves.map((title) => make("option", null, title)));
find("compare-curve").addEventListener("change", render);
find("compare-all").addEventListener("change", render);
find("compared").addEventListener("change", () => compared.set(numbersIn(find("compared").value)));
find("compare-best").addEventListener("click", () => compared.set(data.trials.slice(0, 5).map((trial) => trial.n)));
find("compare-finalists").addEventListener("click", () => compared.set(data.finalists));
find("compare-none").addEventListener("click", () => compared.set([]));
compared.heard.push(() => { find("compared").value = inRanges(compared.numbers); }, render);
compared.set(data.trials.filter((trial) => trial.best !== null).slice(0, 3).map((trial) => trial.n));
document.documentElement.dataset.ready = Math.round(performance.now()); // ms since it was opened; tests read it
