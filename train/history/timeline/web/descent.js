"use strict";
/* Update rules run down one surface, by the formulas and constants of their cards. */
if (document.getElementById("run-down")) {
  const LAST = 400, LEFT = -2, RIGHT = 2, BOTTOM = -1, TOP = 3, START = [-1.5, 2.2], MOVE = 0.1;
  const root = document.getElementById("run-down"), find = (selector) => root.querySelector(selector);
  const pad = find("canvas"), status = find("[role=status]"), COLORS = ["--c1", "--c4", "--c3"], DASHES = [[2, 4], [9, 5], []];
  /** A bent valley: steep across, nearly level along; its lowest point is (1, 1). */
  const surface = ([x, y]) => 0.1 * (1 - x) ** 2 + (y - x * x) ** 2;
  const slope = ([x, y]) => [-0.2 * (1 - x) - 4 * x * (y - x * x), 2 * (y - x * x)];
  /** Each rule of one number: from what it keeps, the gradient, the step t from 1 and its constants, to the change by a rate of 1. */
  const RULES = {
    sgd: () => (kept, g) => g,
    momentum: ({ momentum }) => (kept, g) => (kept.v = momentum * (kept.v ?? 0) + g),
    adam: ({ b1, b2, eps }) => (kept, g, t) => {
      kept.m = b1 * (kept.m ?? 0) + (1 - b1) * g;
      kept.v = b2 * (kept.v ?? 0) + (1 - b2) * g * g;
      return kept.m / (1 - b1 ** t) / (Math.sqrt(kept.v / (1 - b2 ** t)) + eps);
    },
  };
  const rows = all("[data-rule]", root).map((row) => ({ row, name: row.querySelector(".rule").textContent, change: RULES[row.dataset.rule](JSON.parse(row.dataset.constants)) }));
  let start = START, steps = 0, runs = [];

  function reset() {
    steps = 0;
    runs = rows.map(() => ({ path: [start], kept: [{}, {}] }));
  }

  const inside = ([x, y]) => x >= LEFT && x <= RIGHT && y >= BOTTOM && y <= TOP;
  const place = (run) => run.path[run.path.length - 1];

  function learn() {
    const rate = Number(find(".rate").value);
    steps += 1;
    runs.forEach((run, i) => {
      const at = place(run), g = slope(at);
      if (inside(at)) run.path.push(at.map((v, k) => v - rate * rows[i].change(run.kept[k], g[k], steps)));
    });
  }

  const over = () => steps >= LAST || runs.every((run) => !inside(place(run)));
  const found = (run) => (inside(place(run)) ? surface(place(run)).toPrecision(3) : say("descent_left"));

  function show() {
    const context = pad.getContext("2d"), { width, height } = pad;
    const at = ([x, y]) => [((x - LEFT) / (RIGHT - LEFT)) * width, ((TOP - y) / (TOP - BOTTOM)) * height];
    contours(context, width, height);
    [2, 1, 0].forEach((i) => {  // the solid path below the dashed and the dotted one
      const run = runs[i], [x, y] = at(place(run)), color = style(COLORS[i]);
      Object.assign(context, { strokeStyle: color, fillStyle: color, lineWidth: 2.5 });
      context.setLineDash(DASHES[i]);
      context.beginPath();
      run.path.forEach((point) => context.lineTo(...at(point)));
      context.stroke();
      context.setLineDash([]);
      context.beginPath();
      context.arc(x, y, 6, 0, 7);
      context.fill();
      rows[i].row.querySelector(".loss").textContent = found(run);
    });
    const [x, y] = at([1, 1]);
    Object.assign(context, { strokeStyle: style("--ink"), lineWidth: 2 });
    context.beginPath();
    [[-7, 0, 7, 0], [0, -7, 0, 7]].forEach(([a, b, c, d]) => { context.moveTo(x + a, y + b); context.lineTo(x + c, y + d); });
    context.stroke();
    find(".steps").textContent = say("step_n", { n: steps });
  }

  /** Bands between heights that grow by the same factor. */
  function contours(context, width, height) {
    context.fillStyle = style("--back");
    context.fillRect(0, 0, width, height);
    context.fillStyle = style("--edge");
    const cell = 4;
    for (let y = 0; y < height; y += cell) {
      for (let x = 0; x < width; x += cell) {
        const value = surface([LEFT + ((x + cell / 2) / width) * (RIGHT - LEFT), TOP - ((y + cell / 2) / height) * (TOP - BOTTOM)]);
        context.globalAlpha = Math.min(Math.max((Math.floor(1.5 * Math.log2(value + 0.01)) + 10) / 40, 0), 0.6);
        context.fillRect(x, y, cell, cell);
      }
    }
    context.globalAlpha = 1;
  }

  function tell() {
    const each = runs.map((run, i) => say("descent_one", { name: rows[i].name, loss: found(run) })).join(", ");
    status.textContent = say("descent_state", { n: steps, each });
  }

  const again = player(root, { learn, over, show, tell, reset, aFrame: 1 });
  function begin(point) {
    start = [Math.min(Math.max(point[0], LEFT), RIGHT), Math.min(Math.max(point[1], BOTTOM), TOP)];
    again();
  }
  pad.addEventListener("click", (event) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    begin([LEFT + ((event.clientX - left) / width) * (RIGHT - LEFT), TOP - ((event.clientY - top) / height) * (TOP - BOTTOM)]);
  });
  pad.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    begin(start.map((v, k) => v + MOVE * way[k]));
  });
}
