"use strict";
/* What all scripts of the page share. */
const DATA = JSON.parse(document.getElementById("data").textContent);

/** A sentence of the page's language with its {places} filled. */
const say = (key, values = {}) => DATA.words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
