"use strict";
/* Rooms open as modal dialogs: the browser keeps focus inside; Escape leaves. Focus returns to where it came from. */
const ROOMS = all("dialog.room");
const TITLE = document.title;
let cameFrom = null;

function openRoom(id, from) {
  const room = ROOMS.find((one) => one.id === id), now = ROOMS.find((one) => one.open);
  if (!room || room === now) return;
  if (now) { now.dataset.going = ""; now.close(); } else cameFrom = from || document.activeElement;
  room.showModal();
  room.querySelector(".inside").scrollTop = 0;
  room.querySelector("h2").focus({ preventScroll: true });
  history.replaceState(null, "", "#" + id);
  document.title = `${room.querySelector("h2").textContent.trim()} – ${TITLE}`;
  room.dispatchEvent(new CustomEvent("room", { bubbles: true }));
}

function left(event) {
  const room = event.target;
  if ("going" in room.dataset) { delete room.dataset.going; return; }  // on the way to another room
  history.replaceState(null, "", location.pathname + location.search);
  document.title = TITLE;
  const mark = document.getElementById("mark-" + room.id);
  const back = cameFrom && cameFrom !== document.body && cameFrom.isConnected ? cameFrom : mark;
  cameFrom = null;
  back?.focus();
}

function step(room, way) {
  for (let i = ROOMS.indexOf(room) + way; ROOMS[i]; i += way) {
    if (!document.getElementById("mark-" + ROOMS[i].id)?.closest("[hidden]")) return openRoom(ROOMS[i].id);
  }
}

ROOMS.forEach((room) => {
  room.addEventListener("close", left);
  room.addEventListener("click", (event) => {
    if (event.target === room) room.close();  // on the shade around it
    const button = event.target.closest("button");
    if (button?.matches(".close")) room.close();
    if (button?.matches(".step")) step(room, Number(button.dataset.step));
  });
  room.addEventListener("keydown", (event) => {
    const free = !event.target.closest("select, input, .scroll, .drawings, pre");  // these use arrow keys themselves
    if (free && !event.altKey && !event.ctrlKey && !event.metaKey && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
      event.preventDefault();
      step(room, event.key === "ArrowLeft" ? -1 : 1);
    }
  });
});

document.addEventListener("click", (event) => {
  const door = event.target.closest("[data-room]");
  if (!door || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openRoom(door.dataset.room, door.closest("dialog") ? null : door.matches("circle") ? document.getElementById("mark-" + door.dataset.room) : door);
});

/** A link from a room to a place on the page: the room closes, and focus goes there. */
document.addEventListener("click", (event) => {
  const link = event.target.closest("dialog a.out"), place = link && document.getElementById(link.hash.slice(1));
  if (!place) return;
  event.preventDefault();
  cameFrom = place;
  link.closest("dialog").close();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.parentElement.querySelector("code"), said = [...button.childNodes];
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {  // where the browser does not let a page from disk write there: select it, so that one key copies
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return;
  }
  button.textContent = say("copied");
  setTimeout(() => button.replaceChildren(...said), 1500);
});

// A browser that comes to a page by an address of a room puts focus on the dialog itself once all is loaded.
addEventListener("load", () => document.querySelector("dialog[open] h2")?.focus({ preventScroll: true }));
addEventListener("hashchange", () => openRoom(location.hash.slice(1)));
