// Recording: spectrogram and units grow together while one speaks. Nothing spoken is lost with the connection.

import { json, Live, upload } from "./api.js";
import { Microphone, player, Queue, wavBlob } from "./sound.js";
import { $, state, tell } from "./state.js";
import { Strip } from "./strip.js";

const RETRY_MS = 2000;

class Recorder {
  toggle() {
    if (this.take) this.stop();
    else if (document.body.dataset.state === "ready") this.start().catch((error) => this.close(error));
  }

  async start() {
    player.stop();
    this.take = { wav: new Float32Array(1 << 20), count: 0, units: [], durations: [], name: named() };
    this.shows(true);
    const take = this.take;
    this.microphone = new Microphone();
    take.rate = await this.microphone.open((block) => this.receive(take, block));
    if (this.take !== take) return;
    const { zoo } = state.system;
    const on = { units: (message) => this.units(take, message), speech: (wav, rate) => this.spoken(wav, rate),
      done: (kept) => this.done(take, kept), failed: (...reason) => this.failed(take, ...reason) };
    const back = $("back").checked;
    this.queue = back ? new Queue() : null;
    if (state.system.stream) take.live = new Live({ zoo, rate: take.rate, name: take.name, k: state.k, lmbda: state.lambda, back }, on);
    else tell(`${zoo} cannot be heard live: its units come when the recording ends.`, true);
    take.waiting?.splice(0).forEach((block) => take.live?.send(block));
  }

  receive(take, block) {
    if (take.count + block.length > take.wav.length) {
      const longer = new Float32Array(2 * take.wav.length);
      longer.set(take.wav);
      take.wav = longer;
    }
    take.wav.set(block, take.count);
    take.count += block.length;
    if (take.live) take.live.send(block);
    else (take.waiting ||= []).push(block);
    if (take.count / take.rate > state.limits.seconds - 0.5) {
      tell(`A recording lasts ${Math.round(state.limits.seconds / 60)} minutes at most; it was ended and kept.`);
      this.stop();
    }
  }

  units(take, message) {
    take.units.push(...message.units);
    take.durations.push(...message.durations);
    take.rateOfFrames = message.frame_rate;
    const [unit, lasts] = message.current;
    const open = unit === undefined ? [] : [unit];
    const frames = take.durations.reduce((sum, each) => sum + each, 0) + (lasts ?? 0);
    document.body.dataset.behind = Math.round(1000 * (take.count / take.rate - frames / message.frame_rate));
    take.shown = { units: [...take.units, ...open], durations: [...take.durations, ...(open.length ? [lasts] : [])], frame_rate: message.frame_rate };
  }

  spoken(wav, rate) {
    document.body.dataset.back = Number(document.body.dataset.back ?? 0) + 1;
    this.queue?.add(wav, rate);
  }

  draw() {
    const take = this.take;
    if (!take || !this.strip) return;
    if (take.rate && take.count) {
      this.strip.hear(take.wav, take.rate, take.count);
      if (take.shown) this.strip.show(take.shown);
      this.strip.draw();
      $("clock").textContent = `${(take.count / take.rate).toFixed(1)} s`;
      $("count").textContent = take.units.length;
    }
    requestAnimationFrame(() => this.draw());
  }

  stop() {
    const take = this.take;
    this.microphone?.close();
    this.shows(false);
    this.take = null;
    if (!take.count) return;
    if (take.live && !take.live.ended) take.live.stop();
    else this.rescue(take);
  }

  async done(take, kept) {
    if (this.take === take) this.stop();
    if (kept) await this.add(kept, { wav: take.wav.slice(0, take.count), rate: take.rate });
  }

  failed(take, error, lost, kept) {
    tell(lost ? `${error.message} Your recording goes on here, and is sent when the server is back.` : error);
    if (lost) {
      if (this.take !== take) this.rescue(take);
      return;
    }
    if (this.take === take) {
      this.microphone.close();
      this.shows(false);
      this.take = null;
    }
    if (take.count) this.rescue(take);
  }

  // Send what was recorded as a file, again and again until the server takes it.
  async rescue(take) {
    try {
      const there = (await json("api/recordings")).recordings.find((each) => each.name === take.name);
      const wav = take.wav.slice(0, take.count);
      await this.add(there ?? (await upload(wavBlob(wav, take.rate), take.name, state.limits)), { wav, rate: take.rate });
    } catch (error) {
      if (error.gone) setTimeout(() => this.rescue(take), RETRY_MS);
      tell(error);
    }
  }

  close(error) {
    this.microphone?.close();
    this.take = null;
    this.shows(false);
    tell(error);
  }

  shows(on) {
    document.body.dataset.state = on ? "recording" : "ready";
    $("record").setAttribute("aria-pressed", String(on));
    $("record-label").textContent = on ? "Stop" : "Record";
    this.strip?.remove();
    this.strip = null;
    if (!on) {
      $("strip").classList.remove("live");
      return;
    }
    for (const id of ["verbs", "likelihood-card", "systems-card"]) $(id).hidden = true;
    $("units-card").hidden = false;
    $("strip").replaceChildren();
    this.strip = new Strip($("strip"), "Spectrogram and units of what you say");
    this.strip.live = true;
    this.strip.seconds = 0;
    for (const id of ["seconds", "rate", "bits", "count"]) $(id).textContent = "–";
    requestAnimationFrame(() => this.draw());
  }
}

const named = () => `recording ${new Date().toTimeString().slice(0, 8)}`;

export const recorder = new Recorder();

export function startRecorder(add) {
  recorder.add = add;
  $("record").addEventListener("click", () => recorder.toggle());
}
