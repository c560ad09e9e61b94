"use strict";
/* The axis: one stop for Tab, arrow keys within; filters by lane, by words, by whether anything is shown. */
const MARKS = all("#marks .mark");
const visible = () => MARKS.filter((mark) => !mark.closest("[hidden]"));
const laneOf = (mark) => mark.closest("[data-lane]").dataset.lane;

function stopAt(mark) {
  MARKS.forEach((other) => { other.tabIndex = other === mark ? 0 : -1; });
}

function move(mark, key) {
  const shown = visible(), own = shown.filter((other) => laneOf(other) === laneOf(mark));
  const along = (list, way) => list[list.indexOf(mark) + way];
  return {
    ArrowDown: () => along(own, 1), ArrowUp: () => along(own, -1), ArrowRight: () => along(shown, 1),
    ArrowLeft: () => along(shown, -1), Home: () => shown[0], End: () => shown.at(-1),
  }[key]?.();
}

document.getElementById("marks").addEventListener("keydown", (event) => {
  if (!event.target.matches(".mark") || event.altKey || event.ctrlKey || event.metaKey) return;
  const next = move(event.target, event.key);
  if (next) { event.preventDefault(); next.focus(); }
});
document.getElementById("marks").addEventListener("focusin", (event) => event.target.matches(".mark") && stopAt(event.target));

function filter() {
  const lanes = all("#lanes input[value]:checked").map((box) => box.value);
  const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const only = document.getElementById("only-shown").checked;
  let count = 0;
  all("#marks li[data-lane]").forEach((item) => {
    const fits = lanes.includes(item.dataset.lane) && (!only || "shown" in item.dataset) &&
      words.every((word) => item.dataset.words.includes(word));
    item.hidden = !fits;
    count += fits;
    document.querySelector(`.overview [data-room="${item.querySelector(".mark").dataset.room}"]`)?.toggleAttribute("hidden", !fits);
  });
  all("#marks .lane").forEach((lane) => { lane.hidden = !lane.querySelector("li:not([hidden])"); });
  all("#marks .year").forEach((year) => { year.hidden = !year.querySelector(".lane:not([hidden])"); });
  document.getElementById("shown").textContent = say("shown", { n: count, all: MARKS.length });
  const shown = visible();
  if (!shown.some((mark) => mark.tabIndex === 0)) stopAt(shown[0]);
}

stopAt(MARKS[0]);
document.querySelector(".filters").addEventListener("input", filter);
filter();
