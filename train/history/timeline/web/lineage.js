"use strict";
/* The lineage: pointing at a box, or moving to it, shows its ancestors and its descendants. */
const GRAPH = document.querySelector("svg.lineage");

function kin(id) {
  const edges = all(".edge", GRAPH).map((edge) => edge.dataset);
  const reach = (from, start, end) => {
    const found = new Set(), ahead = [from];
    while (ahead.length) { const one = ahead.pop(); for (const edge of edges) if (edge[start] === one && !found.has(edge[end])) { found.add(edge[end]); ahead.push(edge[end]); } }
    return found;
  };
  return { up: reach(id, "child", "parent"), down: reach(id, "parent", "child") };
}

function show(node) {
  GRAPH.classList.toggle("chosen", Boolean(node));
  const id = node?.dataset.room, { up, down } = node ? kin(id) : { up: new Set(), down: new Set() };
  const on = (one) => one === id || up.has(one) || down.has(one);
  const line = ({ parent, child }) => (child === id || up.has(child)) ? up.has(parent) : (parent === id || down.has(parent)) && down.has(child);
  all(".node", GRAPH).forEach((one) => one.classList.toggle("on", on(one.dataset.room)));
  all(".edge", GRAPH).forEach((edge) => edge.classList.toggle("on", line(edge.dataset)));
  all("table.taken tbody tr").forEach((row) => row.classList.toggle("on", Boolean(node) && (row.dataset.parent === id || row.dataset.child === id)));
}

for (const [begin, end] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  GRAPH.addEventListener(begin, (event) => show(event.target.closest(".node")));
  GRAPH.addEventListener(end, () => show(null));
}

if (location.hash) openRoom(location.hash.slice(1));
document.documentElement.dataset.ready = Math.round(performance.now());
