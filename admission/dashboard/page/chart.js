"use strict";
/* Draws what is in use: now as a bar, the last minutes as a chart. Knows nothing of where the numbers come from. */

const PARTS = ["held", "covered", "untracked", "pending"];
const SPANS = [60, 120, 300, 600];
const GAP = 5; /* seconds without a moment after which nobody knows what was */

function shape(name, facts, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(facts)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function drawBar(svg, state) {
  const limit = state.limit ?? 0;
  const top = Math.max(1, state.in_use, Math.ceil(limit * 1.1));
  svg.setAttribute("viewBox", "0 0 1000 40");
  const width = svg.clientWidth || 1000;
  const height = svg.clientHeight || 40;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const drawn = [shape("rect", { class: "track", x: 0, y: 0, width, height, rx: 6 })];
  let level = 0;
  for (const part of PARTS) {
    const count = state.parts[part];
    if (count) {
      const x = (level / top) * width;
      drawn.push(shape("rect", { class: `fill-${part}`, x, y: 0, width: (count / top) * width, height }));
    }
    level += count;
  }
  if (state.limit !== null) {
    const x = Math.min(width - 2, (limit / top) * width);
    drawn.push(shape("line", { class: "mark", x1: x, x2: x, y1: 0, y2: height }));
  }
  svg.replaceChildren(...drawn);
  const parts = PARTS.map((part) => `${part} ${state.parts[part]}`).join(", ");
  svg.setAttribute("aria-label", `${state.in_use} of ${state.limit ?? "unknown"} in use: ${parts}`);
}

/* Rows of numbers, by name, parted where nobody looked or the ledger was silent. */
function runsOf(rows, fields) {
  const runs = [];
  let last = null;
  for (const row of rows) {
    if (row.length < fields.length) {
      last = null;
      continue;
    }
    const moment = Object.fromEntries(fields.map((name, at) => [name, row[at]]));
    if (last === null || moment.at - last.at > GAP) runs.push([]);
    runs[runs.length - 1].push(moment);
    last = moment;
  }
  return runs;
}

function drawChart(svg, rows, fields) {
  const width = svg.clientWidth || 600;
  const height = svg.clientHeight || 240;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  if (!rows.length) return;
  const end = rows[rows.length - 1][0] + 1; /* the newest moment is seen for as long as the others */
  const seconds = SPANS.find((span) => end - rows[0][0] <= span) ?? SPANS[SPANS.length - 1];
  const runs = runsOf(rows.filter((row) => row[0] >= end - seconds), fields);
  const moments = runs.flat();
  if (!moments.length) {
    svg.replaceChildren();
    return;
  }
  const used = (moment) => PARTS.reduce((sum, part) => sum + moment[part], 0);
  const limits = moments.map((moment) => moment.limit ?? 0);
  const top = Math.max(1, ...moments.map(used), ...limits.map((limit) => limit * 1.15));
  const most = Math.max(0, ...moments.map((moment) => moment.waiting));
  const queue = most ? 44 : 0; /* pixels for who waits, below */
  const left = 34, right = 8, floor = height - 20 - queue, ceiling = 6;
  const x = (at) => left + ((at - end + seconds) / seconds) * (width - left - right);
  const y = (count) => floor - (count / top) * (floor - ceiling);
  const drawn = [shape("line", { class: "grid", x1: left, x2: width - right, y1: floor, y2: floor })];

  const area = (run, low, high, klass) => {
    const forth = [], back = [];
    run.forEach((moment, at) => {
      const from = x(moment.at), to = at + 1 < run.length ? x(run[at + 1].at) : Math.max(from, x(end));
      forth.push(`${from},${high(moment)}`, `${to},${high(moment)}`);
      back.push(`${from},${low(moment)}`, `${to},${low(moment)}`);
    });
    return shape("polygon", { class: klass, points: [...forth, ...back.reverse()].join(" ") });
  };
  const line = (run, height, klass) => {
    const points = run.flatMap((moment, at) => [
      `${x(moment.at)},${height(moment)}`,
      `${at + 1 < run.length ? x(run[at + 1].at) : Math.max(x(moment.at), x(end))},${height(moment)}`,
    ]);
    return shape("polyline", { class: klass, points: points.join(" ") });
  };

  for (const run of runs) {
    PARTS.forEach((part, at) => {
      const below = (moment) => PARTS.slice(0, at).reduce((sum, name) => sum + moment[name], 0);
      drawn.push(area(run, (moment) => y(below(moment)), (moment) => y(below(moment) + moment[part]), `fill-${part}`));
    });
    drawn.push(line(run, (moment) => y(used(moment)), "top"));
    if (run.some((moment) => moment.limit !== null)) drawn.push(line(run, (moment) => y(moment.limit ?? 0), "limit"));
    if (most) {
      const base = height - 20;
      const depth = (moment) => base - (moment.waiting / most) * (queue - 18);
      drawn.push(area(run, () => base, depth, "waited"));
    }
  }
  const limit = limits[limits.length - 1];
  const mark = (text, at) => drawn.push(shape("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, text));
  mark("0", floor - 2);
  if (limit) mark(String(limit), y(limit));
  if (most) {
    drawn.push(shape("line", { class: "grid", x1: left, x2: width - right, y1: height - 20, y2: height - 20 }));
    drawn.push(shape("text", { x: left + 4, y: height - 20 - queue + 14 }, `waiting, at most ${most}`));
  }
  drawn.push(shape("text", { x: left, y: height - 5 }, `${seconds / 60} min ago`));
  drawn.push(shape("text", { x: width - right, y: height - 5, "text-anchor": "end" }, "now"));
  svg.replaceChildren(...drawn);
  const now = moments[moments.length - 1];
  const past = `at most ${Math.max(...moments.map(used))} in the last ${seconds / 60} minutes`;
  svg.setAttribute("aria-label", `In use: ${used(now)} of ${now.limit ?? "unknown"} now, ${past}`);
}
