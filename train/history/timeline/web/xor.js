"use strict";
/* XOR: a 2-4-1 network learns it by gradient descent while one linear unit beside it cannot. Deterministic from a seed. */
if (document.getElementById("learn-xor")) {
  const INPUTS = [[0, 0], [0, 1], [1, 0], [1, 1]], TARGETS = [0, 1, 1, 0], HIDDEN = 4;
  const LAST = 2000, DONE = 0.02, GRID = 40, EDGE = 0.35;  // steps; the loss that ends it; points of a side
  const root = document.getElementById("learn-xor"), find = (selector) => root.querySelector(selector);
  const [netPad, unitPad, lossPad] = all("canvas", root), status = find("[role=status]");
  let seed = 1, steps = 0, net = null, unit = null, losses = [];

  /** Numbers of a standard normal (Box and Muller) from whole numbers of 32 bits, the same for a seed everywhere. */
  function normals(state) {
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  function reset() {
    const normal = normals(seed), times = (n, make) => Array.from({ length: n }, make);
    net = { w: times(HIDDEN, () => times(2, normal)), b: times(HIDDEN, () => 0), v: times(HIDDEN, normal), c: 0 };
    unit = { v: times(2, normal), c: 0 };
    steps = 0;
    losses = [mean()];
  }

  const sigmoid = (z) => 1 / (1 + Math.exp(-z)), dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
  const hidden = (x) => net.w.map((w, j) => Math.tanh(dot(w, x) + net.b[j]));
  const ofNet = (x) => sigmoid(dot(net.v, hidden(x)) + net.c), ofUnit = (x) => sigmoid(dot(unit.v, x) + unit.c);
  const loss = (answer) => INPUTS.reduce((sum, x, i) => sum - Math.log(TARGETS[i] ? answer(x) : 1 - answer(x)), 0) / 4;
  const mean = () => [loss(ofNet), loss(ofUnit)];
  const right = (answer) => INPUTS.filter((x, i) => Math.abs(answer(x) - TARGETS[i]) < 0.25).length;

  /** One step of gradient descent on the mean cross entropy of all four examples, for both. */
  function learn() {
    const rate = Number(find(".rate").value) / INPUTS.length;
    const slopes = { w: net.w.map(() => [0, 0]), b: net.b.map(() => 0), v: net.v.map(() => 0), c: 0 };
    const flat = { v: [0, 0], c: 0 };
    INPUTS.forEach((x, i) => {
      const h = hidden(x), error = ofNet(x) - TARGETS[i], wrong = ofUnit(x) - TARGETS[i];  // by the sum of the output
      slopes.c += error;
      h.forEach((value, j) => {
        const back = error * net.v[j] * (1 - value * value);  // what the error comes to before tanh
        slopes.v[j] += error * value;
        slopes.b[j] += back;
        x.forEach((input, k) => { slopes.w[j][k] += back * input; });
      });
      flat.c += wrong;
      x.forEach((input, k) => { flat.v[k] += wrong * input; });
    });
    const down = (values, by) => values.map((v, i) => (Array.isArray(v) ? down(v, by[i]) : v - rate * by[i]));
    net = { w: down(net.w, slopes.w), b: down(net.b, slopes.b), v: down(net.v, slopes.v), c: net.c - rate * slopes.c };
    unit = { v: down(unit.v, flat.v), c: unit.c - rate * flat.c };
    steps += 1;
    losses.push(mean());
  }

  const over = () => steps >= LAST || losses[steps][0] < DONE;

  function show() {
    field(netPad, ofNet);
    field(unitPad, ofUnit);
    curves();
    all("tbody tr", root).forEach((row, i) => {
      const cells = row.querySelectorAll("td");
      [ofNet, ofUnit].forEach((answer, k) => { cells[k + 1].textContent = answer(INPUTS[i]).toFixed(2); });
    });
    find(".steps").textContent = say("step_n", { n: steps });
  }

  function tell() {
    const [own, other] = losses[steps].map((value) => value.toFixed(3));
    status.textContent = say("xor_state", { n: steps, net: right(ofNet), loss: own, unit: right(ofUnit), other });
  }

  /** The answer at each point of the plane as colour, half and half as a line, and the four examples. */
  function field(canvas, answer) {
    const context = canvas.getContext("2d"), { width, height } = canvas, cell = width / GRID, span = 1 + 2 * EDGE;
    const at = ([x, y]) => [((x + EDGE) / span) * width, ((1 + EDGE - y) / span) * height];
    for (let row = 0; row < GRID; row++) {
      for (let column = 0; column < GRID; column++) {
        const value = answer([((column + 0.5) / GRID) * span - EDGE, 1 + EDGE - ((row + 0.5) / GRID) * span]);
        context.fillStyle = style("--back");
        context.fillRect(column * cell, row * cell, cell + 1, cell + 1);
        context.globalAlpha = 0.1 + 1.3 * Math.abs(value - 0.5);
        context.fillStyle = value > 0.5 ? style("--c4") : style("--c1");
        context.fillRect(column * cell, row * cell, cell + 1, cell + 1);
        context.globalAlpha = 1;
      }
    }
    INPUTS.forEach((input, i) => {
      const [x, y] = at(input);
      context.beginPath();
      if (TARGETS[i]) context.arc(x, y, 17, 0, 7); else context.rect(x - 16, y - 16, 32, 32);
      Object.assign(context, { fillStyle: style("--back"), strokeStyle: style("--ink"), lineWidth: 2 });
      context.fill();
      context.stroke();
      Object.assign(context, { fillStyle: style("--ink"), font: "600 20px sans-serif", textAlign: "center", textBaseline: "middle" });
      context.fillText(TARGETS[i], x, y + 1);
    });
  }

  function curves() {
    const context = lossPad.getContext("2d"), { width, height } = lossPad, top = 1.2, foot = 22, left = 34;
    const x = (step) => left + ((width - left - 8) * step) / Math.max(steps, 100);
    const y = (value) => height - foot - (Math.min(value, top) / top) * (height - foot - 6);
    context.clearRect(0, 0, width, height);
    Object.assign(context, { strokeStyle: style("--line"), fillStyle: style("--soft"), font: "12px sans-serif", lineWidth: 1, textAlign: "right", textBaseline: "middle" });
    [0, Math.LN2].forEach((value) => {
      context.beginPath();
      context.moveTo(left, y(value));
      context.lineTo(width - 8, y(value));
      context.stroke();
      context.fillText(value ? value.toFixed(2) : "0", left - 6, y(value));
    });
    context.fillText(Math.max(steps, 100), width - 8, height - 9);
    ["--c4", "--c1"].forEach((color, k) => {
      Object.assign(context, { strokeStyle: style(color), lineWidth: 2 });
      context.setLineDash(k ? [6, 4] : []);
      context.beginPath();
      const stride = Math.max(1, Math.floor(steps / 300));
      losses.forEach((pair, step) => { if (step % stride === 0 || step === steps) context.lineTo(x(step), y(pair[k])); });
      context.stroke();
    });
    context.setLineDash([]);
  }

  const again = player(root, { learn, over, show, tell, reset });
  const name = () => { find(".seed").textContent = say("xor_seed", { n: seed }); };
  find(".again").addEventListener("click", () => { seed += 1; name(); again(); });
  name();
}
