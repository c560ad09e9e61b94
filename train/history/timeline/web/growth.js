"use strict";
/* The growth of a generator's images: a slider over the rows of a picture that stands in its room. */
if (document.getElementById("watch-growth")) {
  const root = document.getElementById("watch-growth"), find = (selector) => root.querySelector(selector);
  const canvas = find("canvas"), slider = find(".moment"), which = find(".which");
  let picture = null;

  function show() {
    const { rows, steps } = which.selectedOptions[0].dataset, known = JSON.parse(steps), row = Number(slider.value) - 1;
    const words = say(known.length ? "growth_at" : "growth_moment", { n: slider.value, all: rows, step: known[row] });
    slider.setAttribute("aria-valuetext", words);
    find("output").textContent = words;
    const tall = picture.naturalHeight / Number(rows);
    canvas.width = picture.naturalWidth;
    canvas.height = Math.round(tall);
    canvas.getContext("2d").drawImage(picture, 0, row * tall, picture.naturalWidth, tall, 0, 0, canvas.width, canvas.height);
  }

  async function choose() {
    const image = new Image();
    image.src = document.getElementById(which.value).src;
    await image.decode();
    picture = image;
    slider.max = which.selectedOptions[0].dataset.rows;
    show();
    root.dataset.ready = "";
  }

  slider.addEventListener("input", () => { if (picture) show(); });
  which.addEventListener("change", choose);
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    choose();
  }, { rootMargin: "400px" }).observe(root);
}
