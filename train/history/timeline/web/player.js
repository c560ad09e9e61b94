"use strict";
/* An exhibit that goes in steps: play and pause, one step, reset. Where the reader wants no motion it is shown where it
   ends. It is drawn when it is near, and rests when it is out of sight. */
function player(root, { learn, over, show, tell, reset, aFrame = 4 }) {
  const button = root.querySelector(".play"), still = matchMedia("(prefers-reduced-motion: reduce)");
  let running = 0, begun = false, frames = 0;
  const draw = () => { show(); if (!running) tell(); };

  function frame() {
    for (let i = 0; i < aFrame && !over(); i++) learn();
    if (over()) stop(); else running = requestAnimationFrame(frame);
    if (running && ++frames % 60 === 0) tell();  // now and then in words
    draw();
  }

  function start() {
    if (over()) reset();
    if (still.matches) {
      while (!over()) learn();
      draw();
      return;
    }
    button.textContent = say("pause");
    running = requestAnimationFrame(frame);
  }

  function stop() {
    cancelAnimationFrame(running);
    running = 0;
    button.textContent = say("play");
  }

  function again() {
    stop();
    reset();
    draw();
  }

  button.addEventListener("click", () => { if (running) { stop(); draw(); } else start(); });
  root.querySelector(".one").addEventListener("click", () => { stop(); if (over()) reset(); learn(); draw(); });
  root.querySelector(".reset").addEventListener("click", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (begun) draw(); });
  new IntersectionObserver((entries) => {
    if (!entries.at(-1).isIntersecting) { if (running) { stop(); draw(); } return; }
    if (!begun) again();
    begun = true;
    root.dataset.ready = "";
  }, { rootMargin: "200px" }).observe(root);
  return again;
}
