"use strict";
/* The tour: one stop at a time in a modal dialog. Without this script its stops stand one below the other. */
const TOUR = document.getElementById("tour"), STOPS = all(".stop", TOUR);
let tourCameFrom = null;
TOUR.removeAttribute("open");

// A picture that the tour shows is in the page once: its room, which opens by a script only, borrows it.
all("img[data-lender]").forEach((image) => { image.src = document.querySelector(`#${image.dataset.lender} .hero img`).src; });

const stopNow = () => STOPS.findIndex((stop) => stop.classList.contains("now"));
const stopAddress = () => history.replaceState(null, "", "#" + STOPS[stopNow()].id);

function openStop(place, from) {
  const stop = STOPS[place];
  if (!stop) return;
  STOPS.forEach((one) => one.classList.toggle("now", one === stop));
  all(".progress a", TOUR).forEach((link, i) => {
    link.classList.toggle("done", i <= place);
    link.toggleAttribute("aria-current", false);
    if (i === place) link.setAttribute("aria-current", "step");
  });
  TOUR.querySelector("[data-step='-1']").disabled = place === 0;
  TOUR.querySelector("[data-step='1']").disabled = place === STOPS.length - 1;
  if (!TOUR.open) {
    tourCameFrom = from || document.activeElement;
    TOUR.showModal();
  }
  TOUR.querySelector(".inside").scrollTop = 0;
  stop.querySelector("h2").focus({ preventScroll: true });
  stopAddress();
}

const stopOf = (address) => STOPS.findIndex((stop) => "#" + stop.id === address);

TOUR.addEventListener("close", () => {
  if (printing) return;
  history.replaceState(null, "", location.pathname + location.search);
  const back = tourCameFrom && tourCameFrom !== document.body && tourCameFrom.isConnected ? tourCameFrom : null;
  (back || document.querySelector("a[data-tour]"))?.focus();
});

TOUR.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (event.target === TOUR || button?.matches(".close")) TOUR.close();  // on the shade around it, too
  if (button?.matches(".step")) openStop(stopNow() + Number(button.dataset.step));
  if (button?.matches(".print")) print();
});

TOUR.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!way || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openStop(stopNow() + way);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#tour-']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openStop(stopOf(link.hash), link);
});

// A room that was opened from a stop lies over it; the address is the stop's again when the room closes.
ROOMS.forEach((room) => room.addEventListener("close", () => {
  if (TOUR.open && !document.querySelector("dialog.room[open]")) stopAddress();
}));

// A modal dialog lies over the page and has but one sheet of paper. So it is printed as a part of the page: all stops.
let printing = false;
addEventListener("beforeprint", () => {
  printing = TOUR.open && !document.querySelector("dialog.room[open]");
  if (!printing) return;
  TOUR.close();
  TOUR.setAttribute("open", "");
  document.documentElement.classList.add("slides");
});
addEventListener("afterprint", () => {
  if (!printing) return;
  document.documentElement.classList.remove("slides");
  TOUR.removeAttribute("open");
  TOUR.showModal();
  STOPS[stopNow()].querySelector("h2").focus({ preventScroll: true });
  setTimeout(() => { printing = false; });  // after the event of the closing above
});

// A browser that comes to a page by an address of a stop scrolls to it, and puts focus elsewhere, once all is loaded.
addEventListener("load", () => TOUR.open && !document.querySelector("dialog.room[open]") && openStop(stopNow()));
addEventListener("hashchange", () => openStop(stopOf(location.hash)));
openStop(stopOf(location.hash));
