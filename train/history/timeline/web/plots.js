"use strict";
/* What the plots share: frames whose places in pixels are known, labels that keep apart, the page's colours. */
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "triangle-down", "cross"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const TICKS = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
const TOP = 40, BOTTOM = 56, LEFT = 54;
const CONFIG = { displayModeBar: false, doubleClick: false, responsive: false };
/** Plotly, read when the first plot is due: four megabytes that a reader of the axis does not wait for. */
function plotly() {
  if (!window.Plotly) {
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.head.append(script);
    script.remove();
  }
  return window.Plotly;
}

const percent = (share) => (100 * share).toFixed(1) + " %";
const number = (value) => Math.abs(value) >= 1e4 ? value.toLocaleString("en", { maximumFractionDigits: 0 }) : String(+value.toPrecision(4));
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

function draw(div, box, traces, xaxis, yaxis, heading, labels, leaders) {
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
  plotly().react(div, traces, layout, CONFIG);
}

const overlap = (a, b) =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

/** Put a label beside each point where it covers the least; points have x, y, top, bottom (their interval) in pixels,
    `also` is what else not to cover. */
function place(points, box, also = []) {
  const taken = points.flatMap((p) => [
    { left: p.x - 8, right: p.x + 8, top: p.y - 8, bottom: p.y + 8 },
    { left: p.x - 4, right: p.x + 4, top: p.top, bottom: p.bottom },
  ]).concat(also);
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

/** Move heights apart until neighbours are `room` pixels away, within 0 to `height`. */
function spread(heights, room, height) {
  const order = heights.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]), out = [];
  let floor = 0;
  for (const [y, i] of order) { out[i] = Math.max(y, floor); floor = out[i] + room; }
  let ceiling = height;
  for (const [, i] of order.reverse()) { out[i] = Math.min(out[i], ceiling); ceiling = out[i] - room; }
  return out;
}

const REDRAW = [];
const redrawAll = () => REDRAW.forEach((redraw) => redraw());
/** Call `redraw` once `div` comes near the window, or paper is asked for; from then on whenever width or colours change. */
function keep(div, redraw) {
  const begin = () => {
    if (REDRAW.includes(redraw)) return;
    REDRAW.push(redraw);
    seen.disconnect();
    redraw();
  };
  const seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && begin(), { rootMargin: "400px" });
  seen.observe(div);
  addEventListener("beforeprint", begin);
  matchMedia("print").addEventListener("change", begin);
}
new ResizeObserver(() => requestAnimationFrame(redrawAll)).observe(document.querySelector("main"));
for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redrawAll);
