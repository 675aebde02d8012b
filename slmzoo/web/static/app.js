// The page: systems, recordings, files and keys. Its parts are in files of their own.

import { ask, drop, json, upload } from "./api.js";
import { clearScores, clearSide, listOthers, startCompare } from "./compare.js";
import { recorder, startRecorder } from "./recorder.js";
import { player } from "./sound.js";
import { $, aboutSystem, busy, make, samplesOf, state, tell } from "./state.js";
import { clearTakes, startTakes, switchTake } from "./takes.js";
import { playChosen, present, startUnits, systemChanged } from "./units.js";

export async function add(described, wav = null) {
  state.recordings.set(described.id, { ...described, rate: wav?.rate, wav: wav?.wav });
  await choose(described.id);
}

async function choose(id) {
  const recording = state.recordings.get(id);
  try {
    await samplesOf(recording);
  } catch (error) {
    tell(error);
    return;
  }
  player.stop();
  state.chosen = recording;
  clearTakes();
  clearScores();
  clearSide();
  listShelf();
  await present();
}

function listShelf() {
  $("shelf").replaceChildren(...[...state.recordings.values()].map((each) => {
    const label = `${each.name} · ${each.seconds.toFixed(1)} s`;
    return make("li", { class: each === state.chosen ? "chosen" : "" },
      make("button", { onclick: () => choose(each.id), "aria-pressed": String(each === state.chosen) }, label),
      make("button", { class: "drop", onclick: () => forget(each), "aria-label": `Delete ${each.name}` }, "×"));
  }));
  listOthers();
}

async function forget(recording) {
  try {
    await drop(recording.id);
  } catch (error) {
    if (error.gone) {
      tell(error);
      return;
    }
  }
  state.recordings.delete(recording.id);
  if (state.chosen === recording) {
    state.chosen = null;
    for (const id of ["units-card", "verbs", "likelihood-card", "systems-card"]) $(id).hidden = true;
    const last = [...state.recordings.keys()].pop();
    if (last) await choose(last);
  }
  listShelf();
}

async function takeFiles(files) {
  for (const file of files) {
    try {
      await add(await upload(file, file.name, state.limits));
    } catch (error) {
      tell(error);
    }
  }
}

async function chooseSystem(zoo) {
  const offer = state.systems.find((each) => each.zoo === zoo);
  if (!offer.here) {
    tell(`${zoo} is not here. ${offer.why}`);
    $("system").value = state.system?.zoo ?? "";
    return;
  }
  state.system = await aboutSystem(zoo);
  state.lambda = state.k = null;
  $("system").value = zoo;
  const { encoder, k, lmbda, frame_rate: rate, language_model: lm, speech } = state.system;
  const facts = [encoder && `encoder ${encoder}`, k && `${k} units`, lmbda !== null && `λ ${lmbda}`, `${rate} frames per second`];
  const lacks = [!lm && "no language model", !speech && "no voice"].filter(Boolean);
  $("system-note").textContent = [...facts.filter(Boolean), ...lacks, state.system.origin, state.system.why].filter(Boolean).join(" · ");
  systemChanged();
  if (state.chosen) await choose(state.chosen.id);
}

function startFiles() {
  $("file").addEventListener("change", async (event) => {
    await takeFiles([...event.target.files]);
    event.target.value = "";
  });
  $("sample").addEventListener("click", () => busy($("sample"), async () => add(await (await ask("api/sample", { method: "POST", body: "{}" })).json())));
  let inside = 0;
  const dropping = (by) => document.body.classList.toggle("dropping", (inside = Math.max(0, inside + by)) > 0);
  addEventListener("dragenter", () => dropping(1));
  addEventListener("dragleave", () => dropping(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(-inside);
    takeFiles([...event.dataTransfer.files]);
  });
}

function startKeys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const key = event.key.toLowerCase();
    if (key === "r") recorder.toggle();
    else if (key === "b") switchTake();
    else if (key === " " && event.target.tagName !== "BUTTON") playChosen();
    else return;
    event.preventDefault();
  });
}

async function start() {
  startUnits();
  startTakes();
  startCompare();
  startRecorder(add);
  startFiles();
  startKeys();
  const { systems, limits } = await json("api/systems");
  Object.assign(state, { systems, limits });
  $("system").append(...systems.map(({ zoo, here }) => make("option", { value: zoo }, here ? zoo : `${zoo} (not here)`)));
  $("system").addEventListener("change", (event) => chooseSystem(event.target.value).catch(tell));
  $("absent").append(...systems.filter((each) => !each.here).map(({ zoo, why }) => make("li", {}, make("b", {}, zoo), ` ${why}`)));
  $("elsewhere").hidden = systems.every((each) => each.here);
  await chooseSystem(systems[0].zoo);
  const { recordings } = await json("api/recordings");
  recordings.forEach((each) => state.recordings.set(each.id, { ...each }));
  document.body.dataset.state = "ready";
  if (recordings.length) await choose(recordings.at(-1).id);
}

start().catch((error) => {
  document.body.dataset.state = "failed";
  tell(error);
});
