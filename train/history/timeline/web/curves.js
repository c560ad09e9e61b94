"use strict";
/* The plots in rooms: drawn when a room opens, as a closed one has no width. */
const HUES = [4, 1, 6, 0, 3, 5, 2, 7];
const hue = (i) => style("--c" + HUES[i % HUES.length]);
const faint = (color) => color + "2e";

function lines(div, traces, x, y, more = {}) {
  const grid = (title, extra) => ({
    title: { text: escape(title), font: { size: 13, color: style("--soft") }, standoff: 10 }, gridcolor: style("--grid"), zerolinecolor: style("--line"),
    tickfont: { color: style("--soft"), size: 12 }, automargin: true, fixedrange: true, ...extra,
  });
  const layout = {
    width: div.clientWidth, height: div.clientHeight, margin: { t: 14, r: 16, b: 48, l: 58 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style("--sans"), size: 13, color: style("--ink") }, hovermode: "closest", dragmode: false,
    legend: { traceorder: "normal", orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 13 } },
    hoverlabel: { bgcolor: style("--panel"), bordercolor: style("--line"), font: { color: style("--ink") }, align: "left" },
    xaxis: grid(x, more.xaxis), yaxis: grid(y, more.yaxis), showlegend: traces.filter((trace) => trace.showlegend !== false).length > 1, ...more.layout,
  };
  plotly().react(div, traces, layout, CONFIG);
}

/** A band between `low` and `high`, and the mean in it; places without a number are gaps. */
function banded({ x, mean, low, high }, name, color, share, band = "") {
  const scaled = (values) => values.map((value) => (value === null ? null : share ? 100 * value : value));
  const there = low.length ? x.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null) : [];
  const edge = (values) => ({ type: "scatter", mode: "lines", x: there.map((i) => x[i]), y: scaled(there.map((i) => values[i])), line: { width: 0 }, hoverinfo: "skip", showlegend: false });
  const filled = { fill: "tonexty", fillcolor: faint(color), name: escape(band), showlegend: band !== "" };
  const area = there.length > 1 ? [edge(low), { ...edge(high), ...filled }] : [];
  const line = { type: "scatter", mode: x.length > 1 ? "lines+markers" : "markers", x, y: scaled(mean), name: escape(name), line: { color, width: 2 }, marker: { color, size: 5 } };
  return [...area, line];
}

function learning(div) {
  const curves = DATA.curves[Number(div.dataset.curve)];
  const name = document.querySelector(`select[data-for="${div.id}"]`).value, curve = curves[name];
  const series = { x: curve.steps, mean: curve.mean, low: curve.low, high: curve.high };
  const traces = banded(series, curve.title, hue(0), curve.share, say("band"));
  lines(div, traces, say("step"), curve.title, { yaxis: curve.share ? { ticksuffix: " %" } : {}, xaxis: { tickformat: "," } });
}

function claimed(div) {
  const plot = DATA.claims[div.dataset.claim];
  const ways = { xaxis: plot.log_x ? { type: "log" } : {}, yaxis: plot.log_y ? { type: "log" } : plot.share ? { ticksuffix: " %" } : {} };
  const scaled = (values) => values.map((value) => (value === null || !plot.share ? value : 100 * value));
  const series = plot.series.map((one) => ({ ...one, mean: scaled(one.mean), low: scaled(one.low), high: scaled(one.high) }));
  if (plot.kind === "bars") return lines(div, series.map(beside), plot.x, plot.y, { ...ways, xaxis: { type: "category" } });
  const traces = series.flatMap((one, i) => (plot.kind === "curve" ? banded(one, one.arm, hue(i), false) : points(one, i)));
  lines(div, traces, plot.x, plot.y, ways);
}

const reach = ({ mean, low, high }, color) => low.length && high.length ? {
  type: "data", symmetric: false, color, thickness: 1.5, width: 4,
  array: mean.map((m, i) => (high[i] ?? m) - m), arrayminus: mean.map((m, i) => m - (low[i] ?? m)),
} : undefined;
/** An arm's mean and interval over its name: no bar has to begin at zero, which differences would vanish against. */
const beside = (one, i) => ({ type: "scatter", mode: "markers", x: [escape(one.arm)], y: one.mean, name: escape(one.arm), showlegend: false, marker: { color: hue(i), size: 12 }, error_y: reach(one, hue(i)) });
const points = (one, i) => [{ type: "scatter", mode: "markers", x: one.x, y: one.mean, name: escape(one.arm), marker: { color: hue(i), size: 9, symbol: SYMBOLS[i % SYMBOLS.length] }, error_y: reach(one, hue(i)) }];

function activated(div) {
  const { x, y, slope } = DATA.activations[div.dataset.activation];
  const line = (values, name, i, dash) => ({ type: "scatter", mode: "lines", x, y: values, name, line: { color: hue(i), width: 2, dash } });
  lines(div, [line(y, escape(div.dataset.activation), 0, "solid"), line(slope, escape(say("slope")), 1, "dash")], "x", "");
}

function furnish(room) {
  all("[data-curve]", room).forEach(learning);
  all("[data-claim]", room).forEach(claimed);
  all("[data-activation]", room).forEach(activated);
}

const openOne = () => { const room = document.querySelector("dialog[open]"); if (room) furnish(room); };
document.addEventListener("room", (event) => furnish(event.target));
document.addEventListener("change", (event) => event.target.matches("select.metric") && learning(document.getElementById(event.target.dataset.for)));
REDRAW.push(openOne);
addEventListener("resize", openOne);
