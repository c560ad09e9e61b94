"use strict";
/* What a character model expects next, letter by letter of recorded texts. */
if (document.getElementById("what-is-next")) {
  const root = document.getElementById("what-is-next"), find = (selector) => root.querySelector(selector);
  const texts = JSON.parse(document.getElementById("traces").textContent).flatMap((trace) => trace.texts);
  const which = find(".which"), slider = find(".letter"), named = (letter) => ({ " ": "␣", "\n": "↵" })[letter] ?? letter;
  const percent = (share) => say("percent", { n: (100 * share).toFixed(share < 0.1 ? 1 : 0) });

  function show() {
    const { text, prompt, expected } = texts[which.selectedIndex], letters = [...text], at = Number(slider.value);
    find(".given").textContent = letters.slice(0, prompt).join("");
    find(".made").textContent = letters.slice(prompt, at).join("");
    const taken = letters[at], pairs = expected[at - 1];
    all(".next-bars li", root).forEach((row, i) => {
      const [letter, share] = pairs[i];
      row.querySelector("b").textContent = named(letter);
      row.querySelector("i").style.setProperty("--share", share);
      row.querySelector("span").textContent = percent(share);
      row.classList.toggle("best", letter === taken);
    });
    const said = taken === undefined ? say("next_end") : say("next_taken", { letter: named(taken) });
    const likely = pairs.slice(0, 3).map(([letter, share]) => `${named(letter)} ${percent(share)}`).join(", ");
    find(".taken-letter").textContent = said;
    slider.setAttribute("aria-valuetext", `${likely}. ${said}`);
    find("[role=status]").textContent = `${likely}. ${said}`;
  }

  function choose() {
    const { text, prompt } = texts[which.selectedIndex];
    Object.assign(slider, { min: prompt, max: [...text].length });
    slider.value = prompt;
    show();
  }

  slider.addEventListener("input", show);
  find(".one").addEventListener("click", () => { slider.value = Number(slider.value) + 1; show(); });
  which.addEventListener("change", choose);
  choose();
}
