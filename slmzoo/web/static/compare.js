// Two recordings under the language model, and one recording under all systems.

import { post } from "./api.js";
import { $, aboutSystem, asked, busy, make, samplesOf, saveJson, savePicture, state, stem, tell, unitsOf } from "./state.js";
import { Strip } from "./strip.js";

const LEAST_NATS = -8;
const strips = { scores: [], side: [] };

function clear(name) {
  strips[name].splice(0).forEach((strip) => strip.remove());
  $(name).replaceChildren();
}

export const clearScores = () => clear("scores");
export const clearSide = () => clear("side");

export function listOthers() {
  const others = [...state.recordings.values()].filter((each) => each !== state.chosen);
  $("other").replaceChildren(make("option", { value: "" }, "no other"), ...others.map((each) => make("option", { value: each.id }, each.name)));
  $("other").value = others.at(-1)?.id ?? "";
}

async function score() {
  const both = [state.chosen, state.recordings.get($("other").value)].filter(Boolean);
  const scores = [];
  for (const recording of both) scores.push(await post("likelihood", asked({ recording: recording.id })));
  clearScores();
  for (const [i, recording] of both.entries()) await drawScore(recording, scores[i], scores);
}

async function drawScore(recording, score, all) {
  await samplesOf(recording);
  const figure = make("figure", {}), values = score.log_probs, best = all.length > 1 && score.total === Math.max(...all.map((each) => each.total));
  const numbers = `${score.total.toFixed(1)} nats, ${score.mean.toFixed(2)} per unit`;
  const keeping = keeps(() => strip, { ...score, file: recording.name }, `${stem(recording)}-likelihood`);
  figure.append(make("figcaption", {}, make("span", {}, recording.name), make("b", {}, numbers + (best ? " · more likely" : "")), keeping));
  $("scores").append(figure);
  const detail = make("p", { class: "hint" }, "Point at a unit for its log-probability.");
  const strip = new Strip(figure, `Likelihood of ${recording.name}`, (index) => {
    const value = values[index];
    detail.textContent = `Unit ${score.units[index]}: ${value === null ? "not scored" : `${value.toFixed(2)} nats`}`;
  });
  figure.append(detail);
  strip.hear(recording.wav, recording.rate);
  strip.show(score, values.map((value) => (value === null ? null : 1 - value / LEAST_NATS)));
  strip.draw();
  strips.scores.push(strip);
}

// Buttons that keep what a strip shows.
function keeps(strip, content, name) {
  return make("span", {},
    make("button", { class: "quiet", onclick: () => saveJson(content, name) }, "JSON"), " ",
    make("button", { class: "quiet", onclick: () => savePicture(strip().canvas, name) }, "PNG"));
}

async function compare() {
  clearSide();
  for (const { zoo } of state.systems.filter((each) => each.here)) {
    try {
      const about = await aboutSystem(zoo);
      if (about.units) drawSystem(about, await unitsOf(state.chosen, { zoo, k: null, lmbda: null }));
      else $("side").append(make("p", { class: "hint" }, `${zoo} is a codec alone: it has no units.`));
    } catch (error) {
      tell(error);
    }
  }
}

function drawSystem(about, answer) {
  const figure = make("figure", {}), numbers = `${answer.units_per_second.toFixed(1)} units per second, ${answer.bits_per_second.toFixed(0)} bits per second`;
  const name = [about.zoo, about.encoder, `k ${about.k}`, about.lmbda !== null && `λ ${about.lmbda}`].filter(Boolean).join(" · ");
  const keeping = keeps(() => strip, { ...answer, file: state.chosen.name, zoo: about.zoo }, `${stem(state.chosen)}-${about.zoo}`);
  figure.append(make("figcaption", {}, make("span", {}, name), make("b", {}, numbers), keeping));
  $("side").append(figure);
  const strip = new Strip(figure, `Units of ${about.zoo}`, () => {}, true);
  strip.seconds = state.chosen.seconds;
  strip.show(answer);
  strip.draw();
  strips.side.push(strip);
}

export function startCompare() {
  $("score").addEventListener("click", () => busy($("score"), score));
  $("compare").addEventListener("click", () => busy($("compare"), compare));
}
