// What all parts of the page share. Texts of data only ever become textContent.
const data = JSON.parse(document.getElementById("trials").textContent);
const trials = new Map(data.trials.map((trial) => [trial.n, trial]));
const NONE = "–";
const find = (id) => document.getElementById(id);

function make(name, attributes, ...children) {
  const isDrawn = ["svg", "g", "path", "text"].includes(name);
  const made = isDrawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const number = (value) => (value === null || value === undefined ? NONE : Math.abs(value) >= 1e-3 || value === 0 ? value.toFixed(4) : value.toExponential(1));

// One trial at a time is hot, in every drawing and in the table.
let hot = null;
function heat(n) {
  if (n === hot) return;
  hot = n;
  for (const chart of document.querySelectorAll("svg.chart")) {
    const own = n === null ? null : chart.querySelector(`[data-t="${n}"]`);
    const copy = own?.cloneNode(true);
    copy?.removeAttribute("data-t");
    chart.querySelector("g.hot")?.replaceChildren(...(copy ? [copy] : []));
  }
  document.querySelector("#leaderboard-table tr.hot")?.classList.remove("hot");
  if (n !== null) document.querySelector(`#leaderboard-table tr[data-t="${n}"]`)?.classList.add("hot");
}

function tell(lines, event) {
  const tip = find("tip");
  tip.hidden = lines === null;
  if (lines === null) return;
  tip.textContent = lines.filter(Boolean).join("\n");
  const room = document.documentElement;
  const left = Math.min(event.clientX + 14, room.clientWidth - tip.offsetWidth - 6);
  const below = event.clientY + 18 + tip.offsetHeight < room.clientHeight;
  tip.style.left = `${Math.max(6, left)}px`;
  tip.style.top = `${below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 12}px`;
}

function about(trial, at, which) {
  const best = `best ${data.curves[0]} ${number(trial.val[0])}, rank ${trial.rank}`;
  const value = at === undefined ? best : `epoch ${trial.x[at]}: ${data.curves[which]} ${number(trial.y[which][at])}\n${best}`;
  return [`trial ${trial.n}, ${data.architectures[trial.a]}`, value, `${trial.state}${trial.why ? `: ${trial.why}` : ""}`];
}

// The trials that are compared, in the order in which they were chosen.
const compared = { numbers: [], heard: [] };
compared.set = (numbers) => {
  compared.numbers = [...new Set(numbers)].filter((n) => trials.has(n));
  for (const hear of compared.heard) hear();
};
compared.toggle = (n, isIn) => compared.set(isIn ? [...compared.numbers, n] : compared.numbers.filter((other) => other !== n));
