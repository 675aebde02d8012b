// What the parts of the page share.

import { bytes, json, post } from "./api.js";
import { readWav } from "./sound.js";

export const $ = (id) => document.getElementById(id);

export const state = {
  systems: [], system: null, limits: null,
  recordings: new Map(), chosen: null, answer: null,
  lambda: null, k: null, takes: [],
};

// Elements with attributes, texts and children.
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function tell(words, plain = false) {
  const text = words instanceof Error ? words.message : words;
  for (const old of document.querySelectorAll(".message")) if (old.dataset.text === text) old.remove();
  const close = make("button", { class: "quiet", "aria-label": "Close this message", onclick: () => box.remove() }, "Close");
  const box = make("div", { class: plain ? "message plain" : "message" }, make("span", {}, text), close);
  box.dataset.text = text;
  $("messages").append(box);
  return box;
}

// Work behind a button: it is off meanwhile, and what goes wrong is told.
export async function busy(button, work) {
  if (button.disabled) return;
  const text = button.textContent;
  button.disabled = true;
  button.textContent = `${text} …`;
  document.body.dataset.busy = "";
  try {
    await work();
  } catch (error) {
    tell(error);
  } finally {
    button.disabled = false;
    button.textContent = text;
    delete document.body.dataset.busy;
  }
}

export async function samplesOf(recording) {
  if (!recording.wav) Object.assign(recording, readWav(await bytes(`api/recordings/${recording.id}/wav`)));
  return recording;
}

// What a request on the chosen recording says: system, k and lambda.
export const asked = (more = {}) => ({
  recording: state.chosen?.id, zoo: state.system?.zoo, lmbda: state.lambda, k: state.k, ...more,
});

export const unitsOf = (recording, more = {}) => post("units", asked({ recording: recording.id, ...more }));
export const aboutSystem = (zoo) => json(`api/systems/${encodeURIComponent(zoo)}`);

export function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const stem = (recording) => recording.name.replace(/\.[^.]*$/, "").replace(/[^\w-]+/g, "-") || "recording";

export const saveJson = (content, name) => save(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }), `${name}.json`);
export const savePicture = (canvas, name) => canvas.toBlob((blob) => save(blob, `${name}.png`));
