"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const AXES = {
  year: { title: "Year of the paper" },
  params: { title: "Parameters", log: true },
  flops: { title: "FLOPs, one image forward", log: true },
  seconds: { title: "Seconds of the whole run", log: true },
};
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "triangle-down", "cross"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const TICKS = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
const TOP = 40, BOTTOM = 56, LEFT = 54;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const percent = (share) => (100 * share).toFixed(1) + " %";
const color = (row) => style("--c" + row.color);

const pen = document.createElement("canvas").getContext("2d");
function textWidth(text) {
  pen.font = "600 13px " + style("--sans");
  return pen.measureText(text).width;
}

/** A frame of fixed ranges, so that a figure's place in pixels is known before it is drawn. */
function frame(div, xRange, yRange, right) {
  const width = div.clientWidth - LEFT - right, height = div.clientHeight - TOP - BOTTOM;
  return {
    width, height, right, xRange, yRange,
    px: (x) => ((x - xRange[0]) / (xRange[1] - xRange[0])) * width,
    py: (y) => (1 - (y - yRange[0]) / (yRange[1] - yRange[0])) * height,
    unpx: (px) => xRange[0] + (px / width) * (xRange[1] - xRange[0]),
  };
}

function axis(title, range, more) {
  return {
    title: { text: title, standoff: 14, font: { color: style("--soft"), size: 14 } }, range, fixedrange: true, zeroline: false, gridcolor: style("--grid"),
    linecolor: style("--line"), tickcolor: style("--line"), tickfont: { color: style("--soft"), size: 13 }, ...more,
  };
}

function draw(id, box, traces, xaxis, yaxis, heading, labels, leaders) {
  const div = document.getElementById(id);
  const layout = {
    width: div.clientWidth, height: div.clientHeight,
    margin: { t: TOP, b: BOTTOM, l: LEFT, r: box.right, pad: 0 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false, hovermode: "closest",
    font: { family: style("--sans"), size: 14, color: style("--ink") },
    hoverlabel: { bgcolor: style("--panel"), bordercolor: style("--line"), font: { color: style("--ink") }, align: "left" },
    xaxis, yaxis,
    annotations: [{
      text: heading, xref: "paper", yref: "paper", x: 0, y: 1, xshift: -LEFT, yshift: 27, xanchor: "left", yanchor: "middle",
      showarrow: false, borderpad: 0, font: { size: 14, color: style("--soft") },
    }, ...labels.map((label) => ({
      text: escape(label.text), xref: "paper", yref: "paper", x: label.x / box.width, y: 1 - label.y / box.height,
      xanchor: label.anchor, yanchor: "middle", showarrow: false, borderpad: 0,
      font: { size: 13, color: label.color, weight: 600 },
    }))],
    shapes: leaders.map((line) => ({
      type: "line", xref: "paper", yref: "paper", line: { color: line.color, width: 1 }, opacity: 0.6,
      x0: line.x0 / box.width, y0: 1 - line.y0 / box.height, x1: line.x1 / box.width, y1: 1 - line.y1 / box.height,
    })),
  };
  Plotly.react(div, traces, layout, { displayModeBar: false, doubleClick: false });
}

const overlap = (a, b) =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

/** Put a label beside each point where it covers the least; points have x, y, top, bottom (their interval) in pixels. */
function place(points, box) {
  const taken = points.flatMap((p) => [
    { left: p.x - 8, right: p.x + 8, top: p.y - 8, bottom: p.y + 8 },
    { left: p.x - 4, right: p.x + 4, top: p.top, bottom: p.bottom },
  ]);
  return points.map((p) => {
    const width = textWidth(p.text), spots = [];
    for (const reach of [11, 26, 44, 66, 92]) {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0.8, -0.8], [-0.8, -0.8], [0.8, 0.8], [-0.8, 0.8], [0, -1], [0, 1]]) {
        const x = p.x + dx * reach, y = p.y + dy * (dx ? reach : reach + 6);
        const left = dx > 0 ? x : dx < 0 ? x - width : x - width / 2;
        const area = { left: left - 2, right: left + width + 2, top: y - 8, bottom: y + 8 };
        const outside = Math.max(0, -area.left, area.right - box.width - box.right, -area.top, area.bottom - box.height);
        const covered = taken.reduce((sum, other) => sum + overlap(area, other), 0);
        spots.push({ x, y, reach, area, anchor: dx > 0 ? "left" : dx < 0 ? "right" : "center", cost: 2 * covered + 50 * outside + reach });
      }
    }
    const best = spots.reduce((a, b) => (b.cost < a.cost ? b : a));
    taken.push(best.area);
    return { ...best, text: p.text, color: p.color, from: p };
  });
}

function pad(values, share, least) {
  const low = Math.min(...values), high = Math.max(...values), room = Math.max(share * (high - low), least);
  return [low - room, high + room];
}

function comparison() {
  const key = document.querySelector("#chooser input:checked").value, { title, log } = AXES[key];
  const rows = DATA.filter((row) => row.accuracy !== null && row[key] !== null && (!log || row[key] > 0));
  const div = document.getElementById("comparison-plot");
  if (!rows.length) return Plotly.purge(div);
  const at = (row) => (log ? Math.log10(row[key]) : row[key]);
  const ends = rows.flatMap((row) => [row.low ?? row.accuracy, row.high ?? row.accuracy]);
  const box = frame(div, pad(rows.map(at), 0.06, log ? 0.2 : 3), pad(ends, 0.05, 0.005), 24);
  const points = rows.map((row) => {
    const twins = log ? [row] : rows.filter((other) => other.year === row.year);
    const x = box.px(at(row)) + 15 * (twins.indexOf(row) - (twins.length - 1) / 2);
    return {
      row, x, y: box.py(row.accuracy), top: box.py(row.high ?? row.accuracy), bottom: box.py(row.low ?? row.accuracy),
      text: row.label, color: color(row),
    };
  });
  const traces = points.map(({ row, x, color }) => ({
    type: "scatter", mode: "markers", x: [log ? 10 ** box.unpx(x) : box.unpx(x)], y: [100 * row.accuracy], hoverinfo: "text",
    hovertext: [`<b>${escape(row.label)}</b><br>${percent(row.accuracy)}` +
      (row.low === null ? "" : ` (${percent(row.low)} to ${percent(row.high)})`) +
      `<br>${title}: ${row[key].toLocaleString("en", { useGrouping: key !== "year" })}`],
    marker: { size: 11, color, symbol: SYMBOLS[row.variant % SYMBOLS.length] },
    error_y: {
      type: "data", symmetric: false, color, thickness: 1.5, width: 0,
      array: [100 * ((row.high ?? row.accuracy) - row.accuracy)], arrayminus: [100 * (row.accuracy - (row.low ?? row.accuracy))],
    },
  }));
  const labels = place(points, box);
  const leaders = labels.filter((label) => label.reach > 11)
    .map(({ x, y, color, from }) => ({ x0: from.x, y0: from.y, x1: x, y1: y, color }));
  const decades = box.xRange[1] - box.xRange[0];
  const xaxis = axis(title, box.xRange, log
    ? { type: "log", dtick: decades > 2.5 || div.clientWidth < 600 ? 1 : "D2", tickformat: key === "seconds" ? "," : "~s" }
    : { tickformat: "d", nticks: Math.max(5, Math.round(box.width / 90)) });
  const yaxis = axis("", box.yRange.map((share) => 100 * share), { ticksuffix: " %" });
  draw("comparison-plot", box, traces, xaxis, yaxis, "Test accuracy", labels, leaders);
}

/** Move heights apart until neighbours are `room` pixels away, within 0 to `height`. */
function spread(heights, room, height) {
  const order = heights.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]), out = [];
  let floor = 0;
  for (const [y, i] of order) { out[i] = Math.max(y, floor); floor = out[i] + room; }
  let ceiling = height;
  for (const [, i] of order.reverse()) { out[i] = Math.min(out[i], ceiling); ceiling = out[i] - room; }
  return out;
}

function curves() {
  const rows = DATA.filter((row) => row.curve.length), div = document.getElementById("curves-plot");
  const last = Math.max(...rows.map((row) => row.curve.at(-1)[0])), shares = rows.flatMap((row) => row.curve.map(([, share]) => share));
  // Equal steps up are equal factors fewer errors; no error at all would be infinitely high, so it sits at half the fewest.
  const none = Math.min(0.1, ...shares.filter((share) => share < 1).map((share) => (1 - share) / 2));
  const height = (share) => -Math.log10(Math.max(1 - share, none));
  const right = Math.min(Math.max(...rows.map((row) => textWidth(row.label))) + 34, div.clientWidth / 2);
  const box = frame(div, [0, last || 1], pad(shares.map(height), 0.04, 0.02), right);
  const traces = rows.map((row) => ({
    type: "scatter", mode: row.curve.length > 1 ? "lines" : "markers",
    x: row.curve.map(([step]) => step), y: row.curve.map(([, share]) => height(share)),
    line: { color: color(row), width: 2, dash: DASHES[row.variant % DASHES.length] }, marker: { color: color(row) }, hoverinfo: "text",
    hovertext: row.curve.map(([step, share]) => `<b>${escape(row.label)}</b><br>step ${step.toLocaleString("en")}: ${percent(share)}`),
  }));
  const ends = rows.map((row) => ({ x: box.px(row.curve.at(-1)[0]), y: box.py(height(row.curve.at(-1)[1])) }));
  const heights = spread(ends.map((end) => end.y), 18, box.height);
  const labels = rows.map((row, i) => ({ text: row.label, color: color(row), x: box.width + 26, y: heights[i], anchor: "left" }));
  const leaders = rows.map((row, i) => ({ x0: ends[i].x + 3, y0: ends[i].y, x1: box.width + 23, y1: heights[i], color: color(row) }));
  const ticks = TICKS.filter((share) => 1 - share > 1.2 * none).concat(shares.includes(1) ? [1] : []);
  const xaxis = axis("Training step", box.xRange, { tickformat: ",", nticks: Math.max(5, Math.round(box.width / 90)) });
  const yaxis = axis("", box.yRange, { tickvals: ticks.map(height), ticktext: ticks.map((share) => +(100 * share).toFixed(1) + " %") });
  draw("curves-plot", box, traces, xaxis, yaxis, "Validation accuracy", labels, leaders);
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value;
      const order = (a, b) => a.localeCompare(b, "en", { numeric: false }) * (down ? -1 : 1);
      const byNumber = (a, b) => (a - b) * (down ? -1 : 1);
      const compare = (a, b) => (a === "") - (b === "") || (column === 1 ? order(a, b) : byNumber(a, b));
      body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
    });
  });
}

function redraw() {
  if (document.getElementById("comparison-plot")) comparison();
  if (document.getElementById("curves-plot")) curves();
}

sortable(document.getElementById("table"));
redraw();
document.getElementById("chooser")?.addEventListener("change", comparison);
new ResizeObserver(() => requestAnimationFrame(redraw)).observe(document.querySelector("main"));
for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redraw);
