"use strict";
/* The comparison: two axes to choose, the Pareto front, tables that sort, and the curves of the same runs. */
const COSTS = { year: { log: false }, params: { log: true }, flops: { log: true }, seconds: { log: true } };
const chosen = (id, otherwise) => document.querySelector(`#${id} input:checked`)?.value ?? otherwise;
const group = () => DATA.comparisons[Number(chosen("group", 0))];

/** Title, scale and the better direction of an axis; a figure that a log scale cannot show is left out. */
function axisOf(key, metric) {
  if (key === "value") return { title: metric.title, log: false, share: metric.share, better: metric.better === "higher" ? 1 : -1 };
  return { title: say(key), log: COSTS[key].log, share: false, better: -1 };
}

/** Indices of the points that no other beats in both directions, along x. */
function front(points, x, y) {
  const kept = points.filter((p) => !points.some((q) =>
    (q.x - p.x) * x.better >= 0 && (q.y - p.y) * y.better >= 0 && (q.x !== p.x || q.y !== p.y)));
  return kept.sort((p, q) => p.x - q.x || p.y - q.y);
}

function comparison() {
  const div = document.getElementById("comparison-plot"), { metric, entries } = group();
  const keys = { x: chosen("axis-x"), y: chosen("axis-y") };
  const axes = { x: axisOf(keys.x, metric), y: axisOf(keys.y, metric) };
  const rows = entries.filter((row) => ["x", "y"].every((way) => row[keys[way]] !== null && (!axes[way].log || row[keys[way]] > 0)));
  if (!rows.length) return window.Plotly?.purge(div);
  const at = (row, way) => (axes[way].log ? Math.log10(row[keys[way]]) : row[keys[way]]);
  const ends = (row, way) => (keys[way] === "value" && row.low !== null ? [row.low, row.high] : [at(row, way)]);
  const room = (way) => (axes[way].log ? 0.2 : axes[way].share ? 0.005 : keys[way] === "year" ? 3 : 1e-9);
  const box = frame(div, pad(rows.flatMap((row) => ends(row, "x")), 0.06, room("x")), pad(rows.flatMap((row) => ends(row, "y")), 0.07, room("y")), 24);
  const points = rows.map((row) => {
    const [low, high] = keys.y === "value" && row.low !== null ? [row.low, row.high] : [at(row, "y"), at(row, "y")];
    return { row, x: box.px(at(row, "x")), y: box.py(at(row, "y")), top: box.py(high), bottom: box.py(low), text: row.label, color: color(row) };
  });
  const best = front(rows.map((row) => ({ x: at(row, "x"), y: at(row, "y") })), axes.x, axes.y);
  const traces = [frontLine(best, axes), ...rows.map((row) => dot(row, keys, axes, metric))];
  const labels = place(points, box, alongFront(best, axes, box));
  const leaders = labels.filter((label) => label.reach > 11).map(({ x, y, color, from }) => ({ x0: from.x, y0: from.y, x1: x, y1: y, color }));
  draw(div, box, traces, plotAxis(axes.x, box.xRange, box.width), { ...plotAxis(axes.y, box.yRange, box.height), title: undefined }, keys.y === "value" ? titled(metric) : axes.y.title, labels, leaders);
}

/** A metric's title, and which way is better. */
const titled = (metric) => `${metric.title}  ${say("better_" + metric.better)}`;

function frontLine(points, axes) {
  const shown = (value, axis) => (axis.log ? 10 ** value : axis.share ? 100 * value : value);
  return {
    type: "scatter", mode: "lines", hoverinfo: "skip", name: say("front"),
    x: points.map((p) => shown(p.x, axes.x)), y: points.map((p) => shown(p.y, axes.y)),
    line: { color: style("--soft"), width: 1.5, dash: "dot", shape: axes.x.better < 0 ? "hv" : "vh" },
  };
}

/** The steps of the front as thin boxes in pixels. */
function alongFront(points, axes, box) {
  return points.slice(1).flatMap((q, i) => {
    const p = points[i], [x0, x1, y0, y1] = [box.px(p.x), box.px(q.x), box.py(p.y), box.py(q.y)], first = axes.x.better < 0;
    const flat = first ? y0 : y1, upright = first ? x1 : x0;
    return [{ left: x0, right: x1, top: flat - 3, bottom: flat + 3 }, { left: upright - 3, right: upright + 3, top: Math.min(y0, y1), bottom: Math.max(y0, y1) }];
  });
}

function dot(row, keys, axes, metric) {
  const shown = (key, axis) => (axis.share ? 100 * row[key] : row[key]);
  const value = (v) => (metric.share ? percent(v) : number(v));
  const said = [`<b>${escape(row.label)}</b>` + (row.recorded ? `, ${escape(say("recorded"))}` : "")];
  if (row.value !== null) said.push(`${escape(metric.title)} ${value(row.value)}` + (row.low === null ? "" : ` (${escape(say("interval", { low: value(row.low), high: value(row.high) }))})`));
  for (const key of ["year", "params", "flops", "seconds"]) if (row[key] !== null) said.push(`${escape(say(key))}: ${row[key].toLocaleString("en", { useGrouping: key !== "year" })}`);
  const bar = (way) => keys[way] !== "value" || row.low === null ? undefined : {
    type: "data", symmetric: false, color: color(row), thickness: 1.5, width: 0,
    array: [(axes[way].share ? 100 : 1) * (row.high - row.value)], arrayminus: [(axes[way].share ? 100 : 1) * (row.value - row.low)],
  };
  const mark = SYMBOLS[row.variant % SYMBOLS.length] + (row.recorded ? "-open" : "");
  return {
    type: "scatter", mode: "markers", x: [shown(keys.x, axes.x)], y: [shown(keys.y, axes.y)], hoverinfo: "text", hovertext: [said.join("<br>")],
    marker: { size: 11, color: color(row), symbol: mark, line: { width: 2, color: color(row) } }, error_x: bar("x"), error_y: bar("y"),
  };
}

function plotAxis({ title, log, share }, range, pixels) {
  const shown = share ? range.map((value) => 100 * value) : range, decades = range[1] - range[0];
  const more = log ? { type: "log", dtick: decades > 2.5 || pixels < 500 ? 1 : "D2", tickformat: "~s" }
    : share ? { ticksuffix: " %" } : { tickformat: title === say("year") ? "d" : "", nticks: Math.max(4, Math.round(pixels / 90)) };
  return axis(title, shown, more);
}

function curves() {
  const div = document.getElementById("curves-plot"), { metric, entries } = group();
  const rows = entries.filter((row) => row.curve.length);
  if (!rows.length) return window.Plotly?.purge(div);
  const last = Math.max(...rows.map((row) => row.curve.at(-1)[0])), values = rows.flatMap((row) => row.curve.map(([, value]) => value));
  const scale = metric.share ? errors(values) : { height: (value) => value, ticks: null };
  const right = Math.min(Math.max(...rows.map((row) => textWidth(row.label))) + 34, div.clientWidth / 2);
  const box = frame(div, [0, last || 1], pad(values.map(scale.height), 0.04, metric.share ? 0.02 : 1e-9), right);
  const said = (value) => (metric.share ? percent(value) : number(value));
  const traces = rows.map((row) => ({
    type: "scatter", mode: row.curve.length > 1 ? "lines" : "markers",
    x: row.curve.map(([step]) => step), y: row.curve.map(([, value]) => scale.height(value)),
    line: { color: color(row), width: 2, dash: DASHES[row.variant % DASHES.length] }, marker: { color: color(row) }, hoverinfo: "text",
    hovertext: row.curve.map(([step, value]) => `<b>${escape(row.label)}</b><br>${escape(say("step"))} ${step.toLocaleString("en")}: ${said(value)}`),
  }));
  const ends = rows.map((row) => ({ x: box.px(row.curve.at(-1)[0]), y: box.py(scale.height(row.curve.at(-1)[1])) }));
  const heights = spread(ends.map((end) => end.y), 18, box.height);
  const labels = rows.map((row, i) => ({ text: row.label, color: color(row), x: box.width + 26, y: heights[i], anchor: "left" }));
  const leaders = rows.map((row, i) => ({ x0: ends[i].x + 3, y0: ends[i].y, x1: box.width + 23, y1: heights[i], color: color(row) }));
  const xaxis = axis(say("step"), box.xRange, { tickformat: ",", nticks: Math.max(5, Math.round(box.width / 90)) });
  draw(div, box, traces, xaxis, axis("", box.yRange, scale.ticks ?? {}), titled(metric), labels, leaders);
}

/** Equal steps up are equal factors fewer errors; no error at all would be infinitely high, so it sits at half the fewest. */
function errors(shares) {
  const none = Math.min(0.1, ...shares.filter((share) => share < 1).map((share) => (1 - share) / 2));
  const height = (share) => -Math.log10(Math.max(1 - share, none));
  const ticks = TICKS.filter((share) => 1 - share > 1.2 * none).concat(shares.includes(1) ? [1] : []);
  return { height, ticks: { tickvals: ticks.map(height), ticktext: ticks.map((share) => +(100 * share).toFixed(1) + " %") } };
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down < 0 ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value;
      const order = (a, b) => (head.dataset.kind === "text" ? a.localeCompare(b, "en") : a - b) * down;
      body.append(...[...body.rows].sort((a, b) => (value(a) === "") - (value(b) === "") || order(value(a), value(b))));
    });
  });
}

function regroup() {
  const { id, metric } = group();
  all(".group").forEach((one) => { one.hidden = one.id !== id; });
  all("#axis-x input[value=value] + span, #axis-y input[value=value] + span").forEach((span) => { span.textContent = metric.title; });
  REDRAW.filter((redraw) => redraw === comparison || redraw === curves).forEach((redraw) => redraw());
}

all("table.sortable").forEach(sortable);
if (DATA.comparisons.length) {
  keep(document.getElementById("comparison-plot"), comparison);
  keep(document.getElementById("curves-plot"), curves);
  document.getElementById("group")?.addEventListener("change", regroup);
  for (const id of ["axis-x", "axis-y"]) document.getElementById(id).addEventListener("change", comparison);
}
