// Synthesised speech: resynthesis and continuations, heard by themselves or against the recording.

import { bytes, post } from "./api.js";
import { player, readWav, wavBlob } from "./sound.js";
import { $, asked, busy, make, save, saveJson, state, stem, tell } from "./state.js";

let marked = null, audible = 0, both = false;

export function clearTakes() {
  state.takes = [];
  marked = null;
  list();
}

const numbers = (form) => Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, Number(value)]));

async function keep(answer, name, more = {}) {
  answer.notes.forEach((note) => tell(note, true));
  for (const [i, sound] of answer.sounds.entries()) {
    const { wav, rate } = readWav(await bytes(`api/sounds/${sound.sound}`));
    const label = answer.sounds.length > 1 ? `${name}, sample ${i + 1}` : name;
    state.takes.unshift({ ...more, label, wav, rate, sound });
  }
  marked = state.takes[0] ?? null;
  list();
}

async function resynthesize(form) {
  const given = { ...numbers(form), keep_durations: form.elements.keep_durations.checked };
  const at = state.lambda === null ? "" : ` at λ ${state.lambda}`;
  await keep(await post("resynthesize", asked(given)), `Resynthesis by ${state.system.zoo}${at}, seed ${given.seed}`);
}

async function goOn(form) {
  const given = numbers(form);
  const answer = await post("continue", asked(given));
  await keep(answer, `Continued after ${given.prompt_seconds} s, seed ${given.seed}`, { prompt: answer.prompt });
}

function list() {
  $("ab").disabled = !state.takes.length;
  if (!state.takes.length) {
    $("takes").replaceChildren(make("li", { class: "hint" }, "Nothing was made yet."));
    return;
  }
  $("takes").replaceChildren(...state.takes.map((take) => {
    const unfinished = take.sound.finished ? "" : " · not all units were spoken";
    const mark = make("input", { type: "radio", name: "marked", "aria-label": `Take ${take.label} as B` });
    mark.checked = take === marked;
    mark.addEventListener("change", () => (marked = take));
    return make("li", {}, mark,
      make("button", { class: "hear", onclick: () => player.play([take]), "aria-label": `Play ${take.label}` }, "▶"),
      make("span", { class: "name" }, take.label, make("small", {}, ` ${take.sound.seconds.toFixed(1)} s${unfinished}`)),
      make("button", { class: "quiet", onclick: () => save(wavBlob(take.wav, take.rate), `${stem(state.chosen)}-${state.takes.indexOf(take) + 1}.wav`) }, "wav"),
      make("button", { class: "quiet", onclick: () => keepJson(take) }, "JSON"));
  }));
}

function keepJson({ label, sound, prompt }) {
  saveJson({ label, file: state.chosen.name, zoo: state.system.zoo, prompt, ...sound }, `${stem(state.chosen)}-speech`);
}

function label() {
  $("ab").replaceChildren(both ? `Hearing ${"AB"[audible]}, switch with ` : "Play A, switch with ", make("kbd", {}, "B"));
  $("ab").setAttribute("aria-pressed", String(audible === 1));
}

function ended() {
  both = false;
  label();
}

export function switchTake() {
  if (!marked) return;
  if (both) {
    audible = 1 - audible;
    player.hear(audible);
  } else {
    player.play([state.chosen, marked], undefined, ended);
    [audible, both] = [0, true];
  }
  label();
}

export function startTakes() {
  for (const [id, work] of [["resynth", resynthesize], ["continue", goOn]]) {
    $(id).addEventListener("submit", (event) => {
      event.preventDefault();
      busy($(id).querySelector("[type=submit]"), () => work($(id)));
    });
  }
  $("ab").addEventListener("click", switchTake);
}
