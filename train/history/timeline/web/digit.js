"use strict";
/* Draw a digit: what is drawn is made as MNIST's digits were, and every network of the page answers. */
if (document.getElementById("draw-a-digit")) {
  const SIZE = 280, PIXELS = 28, BRUSH = 22, FRAME = 20, STEP = 10;
  const root = document.getElementById("draw-a-digit"), find = (selector) => root.querySelector(selector);
  const pad = find(".pad"), seen = find(".seen canvas"), centred = find(".centred"), status = find("[role=status]");
  const ink = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  const inked = ink.getContext("2d", { willReadFrequently: true });
  /* A digit each, its strokes as points of a square of 100: drawn for this page. */
  const SAMPLES = [
    [[[50, 12], [33, 20], [26, 42], [28, 66], [40, 86], [56, 86], [70, 70], [74, 46], [66, 22], [50, 12]]],
    [[[56, 12], [52, 50], [48, 88]]],
    [[[28, 30], [36, 15], [54, 11], [68, 22], [66, 40], [48, 62], [28, 86], [50, 84], [74, 86]]],
    [[[30, 18], [48, 11], [66, 18], [66, 36], [46, 47], [68, 56], [70, 76], [52, 88], [30, 82]]],
    [[[32, 14], [28, 34], [28, 52], [50, 52], [72, 50]], [[70, 14], [68, 50], [66, 88]]],
    [[[70, 13], [53, 13], [36, 13], [33, 44], [54, 42], [70, 56], [68, 76], [50, 88], [30, 80]]],
    [[[62, 12], [42, 30], [30, 58], [34, 80], [52, 88], [68, 76], [66, 58], [50, 52], [34, 62]]],
    [[[26, 16], [50, 16], [74, 15], [60, 46], [46, 88]]],
    [[[62, 22], [48, 12], [34, 24], [44, 44], [62, 60], [64, 80], [48, 88], [34, 78], [40, 58], [58, 42], [62, 22]]],
    [[[66, 30], [50, 15], [33, 26], [36, 44], [52, 50], [66, 32], [64, 60], [56, 88]]],
  ];
  let strokes = [], sample = true, stroke = null, cursor = [SIZE / 2, SIZE / 2], nets = null, due = 0;

  /** A line through the middles of its points, bent at the points. */
  function trace(context, points) {
    const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++) context.quadraticCurveTo(...points[i], ...middle(points[i], points[i + 1]));
    context.lineTo(...points[points.length - 1]);
    context.stroke();
  }

  function paint(context, color) {
    context.clearRect(0, 0, SIZE, SIZE);
    Object.assign(context, { lineWidth: BRUSH, lineCap: "round", lineJoin: "round", strokeStyle: color });
    strokes.forEach((points) => trace(context, points));
  }

  /** The share of ink in each cell of a grid over a part of the canvas. */
  function shrink({ left, top, width, height }, columns, rows) {
    const alpha = inked.getImageData(0, 0, SIZE, SIZE).data, cells = new Float32Array(columns * rows);
    const edge = (from, size, count, i) => Math.round(from + (size * i) / count);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const y0 = edge(top, height, rows, row), y1 = Math.max(edge(top, height, rows, row + 1), y0 + 1);
        const x0 = edge(left, width, columns, column), x1 = Math.max(edge(left, width, columns, column + 1), x0 + 1);
        let sum = 0;
        for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += alpha[4 * (y * SIZE + x) + 3];
        cells[row * columns + column] = sum / ((y1 - y0) * (x1 - x0));
      }
    }
    return cells;
  }

  function box() {
    const alpha = inked.getImageData(0, 0, SIZE, SIZE).data;
    let [left, top, right, bottom] = [SIZE, SIZE, -1, -1];
    for (let i = 3; i < alpha.length; i += 4) {
      if (!alpha[i]) continue;
      const x = ((i - 3) / 4) % SIZE, y = Math.floor((i - 3) / 4 / SIZE);
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    }
    return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
  }

  /** 28 x 28 numbers from 0 to 255: the longer side 20 pixels, the centre of mass in the middle; null without ink. */
  function pixels() {
    paint(inked, "#000");
    const found = box();
    if (!found) return null;
    if (!centred.checked) return shrink({ left: 0, top: 0, width: SIZE, height: SIZE }, PIXELS, PIXELS);
    const longest = Math.max(found.width, found.height), side = (length) => Math.max(1, Math.round((FRAME * length) / longest));
    const columns = side(found.width), rows = side(found.height), cells = shrink(found, columns, rows);
    let mass = 0, x = 0, y = 0;
    cells.forEach((v, i) => { mass += v; x += v * (i % columns); y += v * Math.floor(i / columns); });
    const start = (sum, length) => Math.min(Math.max(Math.round(PIXELS / 2 - sum / mass), 0), PIXELS - length);
    const left = start(x, columns), top = start(y, rows), image = new Float32Array(PIXELS * PIXELS);
    cells.forEach((v, i) => { image[(top + Math.floor(i / columns)) * PIXELS + left + (i % columns)] = v; });
    return image;
  }

  function show() {
    const context = pad.getContext("2d");
    paint(context, style("--ink"));
    if (document.activeElement !== pad || !pad.matches(":focus-visible")) return;
    Object.assign(context, { lineWidth: 2, strokeStyle: style("--link") });
    context.beginPath();
    context.arc(...cursor, BRUSH / 2, 0, 7);
    context.stroke();
  }

  function answer() {
    due = 0;
    show();
    const image = pixels(), look = seen.getContext("2d", { willReadFrequently: true }), shown = look.createImageData(PIXELS, PIXELS);
    for (let i = 0; i < PIXELS * PIXELS; i++) shown.data.set([...Array(3).fill(image ? image[i] : 0), 255], 4 * i);
    look.putImageData(shown, 0, 0);
    if (!nets) return;
    const found = nets.map((net) => (image ? runNet(net, image) : null));
    const said = found.map((one, i) => vote(root.querySelector(`[data-net="${i}"]`), nets[i], one));
    const words = image ? said.join("; ") : say("draw_empty");
    if (status.textContent !== words) status.textContent = words;
    const mapped = found.findIndex((one) => one?.maps.length);
    find(".maps").hidden = mapped < 0;
    if (mapped >= 0) sheets(found[mapped].maps);
  }

  function vote(row, net, found) {
    const best = found ? found.shares.indexOf(Math.max(...found.shares)) : -1;
    const sure = found ? percent(found.shares[best]) : "";
    row.querySelector(".answer").textContent = found ? net.classes[best] : say("draw_none");
    row.querySelector(".sure").textContent = sure;
    all(".votes span", row).forEach((bar, i) => {
      bar.style.setProperty("--share", found ? found.shares[i] : 0);
      bar.classList.toggle("best", i === best);
    });
    return found ? say("draw_reads", { net: net.title, answer: net.classes[best], sure }) : "";
  }

  const percent = (share) => say("percent", { n: share > 0.9995 ? "> 99.9" : (100 * share).toFixed(1) });

  /** The maps of each layer side by side: blue above zero, orange below, as strong as the largest of its layer. */
  function sheets(maps) {
    const place = find(".sheets");
    if (!place.children.length) {
      place.innerHTML = maps.map(() => `<figure><canvas role="img"></canvas><figcaption></figcaption></figure>`).join("");
    }
    const [high, low, zero] = ["--c4", "--c1", "--panel"].map((name) => rgb(style(name)));
    maps.forEach(({ name, shape: [rows, columns, count], data }, i) => {
      const sheet = place.children[i], canvas = sheet.querySelector("canvas"), across = Math.min(count, 8), gap = 1;
      canvas.width = across * (columns + gap) - gap;
      canvas.height = Math.ceil(count / across) * (rows + gap) - gap;
      sheet.style.setProperty("--across", across);
      const words = say("draw_sheet", { name, count, size: `${rows} × ${columns}` });
      sheet.querySelector("figcaption").textContent = words;
      canvas.setAttribute("aria-label", words);
      const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
      const most = data.reduce((a, v) => Math.max(a, Math.abs(v)), 1e-6);
      data.forEach((v, at) => {
        const map = at % count, x = Math.floor(at / count) % columns, y = Math.floor(at / count / columns);
        const left = (map % across) * (columns + gap) + x, top = Math.floor(map / across) * (rows + gap) + y;
        const share = Math.abs(v) / most, end = v > 0 ? high : low;
        image.data.set([...zero.map((c, k) => c + share * (end[k] - c)), 255], 4 * (top * canvas.width + left));
      });
      context.putImageData(image, 0, 0);
    });
  }

  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const later = () => { due ||= requestAnimationFrame(answer); };

  function begin(point) {
    if (sample) strokes = [];
    sample = false;
    stroke = [point, [point[0] + 0.1, point[1]]];
    strokes.push(stroke);
    later();
  }

  function choose(digit) {
    strokes = SAMPLES[digit].map((points) => points.map(([x, y]) => [x * SIZE / 100, y * SIZE / 100]));
    sample = true;
    later();
  }

  function clear() {
    strokes = [];
    sample = false;
    later();
  }

  const at = (event) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    return [((event.clientX - left) * SIZE) / width, ((event.clientY - top) * SIZE) / height];
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pad.setPointerCapture(event.pointerId);
    begin(at(event));
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    stroke.push(at(event));
    later();
  });
  ["pointerup", "pointercancel"].forEach((kind) => pad.addEventListener(kind, () => { stroke = null; }));
  pad.addEventListener("focus", later);  // which comes after a pointer has begun a stroke
  pad.addEventListener("blur", () => { stroke = null; later(); });

  pad.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (way) {
      const from = cursor;
      cursor = cursor.map((v, i) => Math.min(Math.max(v + STEP * way[i], BRUSH / 2), SIZE - BRUSH / 2));
      if (event.shiftKey && !stroke) begin(from);
      if (event.shiftKey) stroke.push(cursor); else stroke = null;
    } else if (event.key === " ") {
      begin(cursor);
      stroke = null;
    } else if (["Delete", "Backspace"].includes(event.key)) clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
    later();
  });

  find(".clear").addEventListener("click", clear);
  centred.addEventListener("change", later);
  find(".samples").addEventListener("click", (event) => { if (event.target.matches("button")) choose(Number(event.target.value)); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);

  /** The networks are unpacked when their exhibit is near. */
  new IntersectionObserver(async (entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    nets = await Promise.all(JSON.parse(document.getElementById("nets").textContent).map(readNet));
    root.dataset.ready = "";
    later();
  }, { rootMargin: "400px" }).observe(root);
  choose(3);
}
