// The table: sorted by a column, filtered, rows ticked for the comparison.
const ranked = find("leaderboard-table");
if (ranked) {
  const FIRST_ROWS = 50;
  const body = ranked.tBodies[0];
  const inRank = [...body.rows];
  let order = inRank, all = inRank.length <= FIRST_ROWS, sorted = null;

  function tick(row) {
    const cell = row.cells[1];
    if (cell.querySelector("input")) return;
    const n = Number(row.dataset.t);
    const box = make("input", { type: "checkbox", "aria-label": `compare trial ${n}` });
    box.checked = compared.numbers.includes(n);
    box.addEventListener("change", () => compared.toggle(n, box.checked));
    cell.prepend(box);
  }

  function show() {
    const architecture = find("of-architecture").value, state = find("of-state").value;
    let fitting = 0;
    for (const row of order) {
      const trial = trials.get(Number(row.dataset.t));
      const fits = (!architecture || data.architectures[trial.a] === architecture) && (!state || trial.state === state);
      fitting += fits;
      row.classList.remove("more");
      row.hidden = !fits || (!all && fitting > FIRST_ROWS);
      if (!row.hidden) tick(row);
    }
    find("shown-rows").textContent = architecture || state ? `${fitting} of ${order.length} trials` : "";
    if (find("more-rows")) find("more-rows").hidden = all || fitting <= FIRST_ROWS;
  }

  function sort(column, head) {
    const text = (row) => row.cells[column].textContent.trim();
    const value = (row) => Number.parseFloat(text(row).replaceAll(",", ""));
    const isNumeric = head.classList.contains("n");
    const down = sorted === column && head.getAttribute("aria-sort") === "ascending";
    const sign = down ? -1 : 1;
    const compare = isNumeric
      ? (a, b) => (Number.isNaN(value(a)) - Number.isNaN(value(b))) || sign * (value(a) - value(b)) || 0
      : (a, b) => sign * text(a).localeCompare(text(b));
    order = [...inRank].sort(compare);
    sorted = column;
    for (const other of ranked.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.replaceChildren(...order);
    show();
  }

  [...ranked.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", { type: "button", title: "sort by this column" }, head.textContent);
    button.addEventListener("click", () => sort(column, head));
    head.replaceChildren(button);
  });
  for (const key of ["of-architecture", "of-state"]) find(key).addEventListener("change", show);
  find("all-rows")?.addEventListener("click", () => { all = true; show(); });
  body.addEventListener("pointerover", (event) => {
    const row = event.target.closest("tr");
    heat(Number(row.dataset.t));
    row.lastElementChild.title ||= row.lastElementChild.textContent; // it may be cut off
  });
  body.addEventListener("pointerleave", () => heat(null));
  compared.heard.push(() => {
    for (const box of body.querySelectorAll("input")) box.checked = compared.numbers.includes(Number(box.closest("tr").dataset.t));
  });
  show();
}
