"use strict";
/* Charts are in the page as drawings; what scripts add is a button that saves one as PNG. */
function savePng(link) {
  const drawing = new Image();
  drawing.addEventListener("load", () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [drawing.naturalWidth, drawing.naturalHeight];
    canvas.getContext("2d").drawImage(drawing, 0, 0);
    const made = document.createElement("a");
    made.download = link.download.replace(/svg$/, "png");
    made.href = canvas.toDataURL("image/png");
    made.click();
  });
  drawing.src = link.href;
}

all(".downloads .as-svg").forEach((link) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append("PNG", link.querySelector(".hidden").cloneNode(true));
  button.addEventListener("click", () => savePng(link));
  link.after(button);
});
