// The chosen recording: its spectrogram and units, sliders, places of a unit, and files to keep.

import { collect, player, wavBlob } from "./sound.js";
import { $, save, saveJson, savePicture, state, stem, tell, unitsOf } from "./state.js";
import { Strip } from "./strip.js";

let strip = null, waiting = null, running = false;

// A slider's place to lambda, finer near 0; at 368 of 1000 it is the usual one.
const STEEP = 20;
const lambdaAt = (place) => state.system.scale * STEEP * (place / 1000) ** 3;
const placeOf = (lambda) => Math.round(1000 * Math.cbrt(lambda / (state.system.scale * STEEP)));
const rounded = (value) => Number(value.toPrecision(3));

export async function present() {
  const recording = state.chosen, { units, language_model: lm, speech } = state.system;
  $("strip").replaceChildren();
  strip?.remove();
  strip = new Strip($("strip"), `Units of ${recording.name}`, picked);
  strip.hear(recording.wav, recording.rate);
  $("units-card").hidden = false;
  $("verbs").hidden = !speech;
  $("continue").hidden = !(lm && speech);
  $("likelihood-card").hidden = !lm;
  $("systems-card").hidden = false;
  $("clock").textContent = `${recording.seconds.toFixed(1)} s`;
  $("places").disabled = true;
  strip.draw();
  if (units) await refresh();
}

export function systemChanged() {
  const { scale, lmbda, ks, k, units, speech_options: options } = state.system;
  $("lambda-row").hidden = $("lambda-reset").hidden = $("lambda-hint").hidden = scale === null;
  if (scale !== null) {
    $("lambda").value = placeOf(lmbda ?? 0);
    $("lambda-value").textContent = rounded(lmbda ?? 0);
  }
  $("k-row").hidden = ks.length < 2;
  Object.assign($("k"), { max: Math.max(0, ks.length - 1), value: Math.max(0, ks.indexOf(k)) });
  $("k-value").textContent = k ?? "–";
  for (const name of ["temperature", "top_p", "keep_durations"]) {
    $("resynth").elements[name].closest("label").hidden = !options.includes(name);
  }
  if (!units) tell(`${state.system.zoo} is a codec alone: it has no units, but it can copy speech.`, true);
}

// Fetch and draw the units; while one request is under way only the latest further one waits.
async function refresh() {
  if (running) {
    waiting = true;
    return;
  }
  running = true;
  const began = performance.now(), recording = state.chosen;
  try {
    const answer = await unitsOf(recording);
    if (recording === state.chosen) show(answer, began);
  } catch (error) {
    tell(error);
  } finally {
    running = false;
  }
  if (waiting) {
    waiting = null;
    await refresh();
  }
}

function show(answer, began) {
  state.answer = answer;
  strip.show(answer);
  strip.draw();
  $("seconds").textContent = `${answer.seconds.toFixed(2)} s`;
  $("count").textContent = answer.units.length;
  $("rate").textContent = answer.units_per_second.toFixed(1);
  $("bits").textContent = answer.bits_per_second.toFixed(0);
  if (strip.index >= 0) picked(strip.index, false);
  document.body.dataset.redrawn = (performance.now() - began).toFixed(1);
}

function picked(index, firmly) {
  const { places } = strip, place = places[index], unit = place.unit;
  const same = places.filter((each) => each.unit === unit);
  const side = (other, none) => (other ? other.unit : none);
  const lasts = Math.round(1000 * (place.end - place.start));
  $("detail").textContent = `Unit ${unit} · ${place.start.toFixed(2)} to ${place.end.toFixed(2)} s (${lasts} ms) · ` +
    `between ${side(places[index - 1], "the start")} and ${side(places[index + 1], "the end")} · ` +
    `${same.length} ${same.length === 1 ? "place" : "places"}`;
  $("places").disabled = false;
  $("places").textContent = same.length === 1 ? `Hear unit ${unit}` : `Hear all ${same.length} places of unit ${unit}`;
  if (firmly) hearPlaces();
}

function hearPlaces() {
  const unit = strip.places[strip.index]?.unit, { wav, rate } = state.chosen;
  if (unit !== undefined) player.play([{ wav: collect(wav, rate, strip.places.filter((each) => each.unit === unit)), rate }]);
}

export function playChosen() {
  if (!state.chosen) return;
  if (player.playing) {
    player.stop();
    return;
  }
  const end = () => {
    strip.head = null;
    $("play").textContent = "Play";
    strip.draw();
  };
  $("play").textContent = "Stop";
  player.play([state.chosen], (at) => {
    strip.head = at;
    strip.draw();
  }, end);
}

function keep() {
  const { zoo } = state.system;
  saveJson({ ...state.answer, file: state.chosen.name, zoo }, `${stem(state.chosen)}-${zoo}`);
}

export function startUnits() {
  $("lambda").addEventListener("input", () => {
    state.lambda = rounded(lambdaAt($("lambda").value));
    $("lambda-value").textContent = state.lambda;
    if (state.chosen) refresh();
  });
  $("lambda-reset").addEventListener("click", () => {
    state.lambda = state.k = null;
    systemChanged();
    if (state.chosen) refresh();
  });
  $("k").addEventListener("input", () => {
    state.k = state.system.ks[$("k").value];
    $("k-value").textContent = state.k;
    if (state.chosen) refresh();
  });
  $("play").addEventListener("click", playChosen);
  $("places").addEventListener("click", hearPlaces);
  $("save-wav").addEventListener("click", () => save(wavBlob(state.chosen.wav, state.chosen.rate), `${stem(state.chosen)}.wav`));
  $("save-json").addEventListener("click", () => (state.answer ? keep() : tell("There are no units yet.")));
  $("save-png").addEventListener("click", () => savePicture(strip.canvas, stem(state.chosen)));
}

