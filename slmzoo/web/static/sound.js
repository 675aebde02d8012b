// The microphone, playing, and wav files.

let shared = null;

export function context() {
  shared ||= new AudioContext();
  if (shared.state === "suspended") shared.resume();
  return shared;
}

const WORDS = {
  NotAllowedError: "The browser does not let this page use the microphone. Allow it beside the address, or choose a file.",
  NotFoundError: "No microphone was found. Plug one in, or choose a file.",
  NotReadableError: "The microphone cannot be used: another program may hold it. Close that, or choose a file.",
};

// Samples of the microphone by `block(samples)`; `rate` is known once it is open.
export class Microphone {
  async open(block) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The browser gives no microphone to this page: it is served by another machine without HTTPS. Choose a file instead.");
    }
    try {
      const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (error) {
      throw new Error(WORDS[error.name] || `The microphone cannot be used (${error.name}). Choose a file instead.`);
    }
    const audio = context();
    this.rate = audio.sampleRate;
    await audio.audioWorklet.addModule("static/worklet.js");
    this.source = audio.createMediaStreamSource(this.stream);
    this.tap = new AudioWorkletNode(audio, "tap", { numberOfOutputs: 0 });
    this.tap.port.onmessage = (event) => block(event.data);
    this.source.connect(this.tap);
    return this.rate;
  }

  close() {
    this.tap?.port && (this.tap.port.onmessage = null);
    this.source?.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
  }
}

function buffer(wav, rate) {
  const made = context().createBuffer(1, Math.max(1, wav.length), rate);
  made.copyToChannel(wav, 0);
  return made;
}

// One sound at a time, or two of which one is heard. `time(seconds)` is called while it plays, `end()` afterwards.
class Player {
  play(sounds, time = () => {}, end = () => {}) {
    this.stop();
    const audio = context(), began = audio.currentTime + 0.03;
    const longest = Math.max(...sounds.map(({ wav, rate }) => wav.length / rate));
    const lanes = sounds.map(({ wav, rate }, i) => {
      const gain = audio.createGain(), source = audio.createBufferSource();
      gain.gain.value = i ? 0 : 1;
      source.buffer = buffer(wav, rate);
      source.connect(gain).connect(audio.destination);
      source.start(began);
      return { gain, source };
    });
    const now = { lanes, end };
    this.now = now;
    document.body.dataset.playing = longest.toFixed(2);
    const follow = () => {
      if (this.now !== now) return;
      const at = audio.currentTime - began;
      if (at >= longest) this.stop();
      else {
        time(Math.max(0, at));
        requestAnimationFrame(follow);
      }
    };
    follow();
  }

  // Let another of the sounds be heard.
  hear(index) {
    this.now?.lanes.forEach(({ gain }, i) => gain.gain.setTargetAtTime(i === index ? 1 : 0, context().currentTime, 0.008));
  }

  get playing() {
    return Boolean(this.now);
  }

  stop() {
    const now = this.now;
    this.now = null;
    delete document.body.dataset.playing;
    now?.lanes.forEach(({ source }) => source.stop());
    now?.end();
  }
}

export const player = new Player();

// Segments that come while others play, one behind the other.
export class Queue {
  constructor() {
    this.free = 0;
  }

  add(wav, rate) {
    if (!wav.length) return;
    const audio = context(), source = audio.createBufferSource();
    source.buffer = buffer(wav, rate);
    source.connect(audio.destination);
    this.free = Math.max(this.free, audio.currentTime + 0.02);
    source.start(this.free);
    this.free += wav.length / rate;
  }
}

// All places of a unit, with short pauses between.
export function collect(wav, rate, places) {
  const gap = Math.round(0.12 * rate);
  const cuts = places.map(({ start, end }) => wav.subarray(Math.round(start * rate), Math.round(end * rate)));
  const joined = new Float32Array(cuts.reduce((sum, cut) => sum + cut.length + gap, 0));
  cuts.reduce((at, cut) => (joined.set(cut, at), at + cut.length + gap), 0);
  return joined;
}

export function wavBlob(wav, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * wav.length));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * wav.length, true);
  text(8, "WAVEfmt ");
  [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2]].forEach(([at, value, size]) =>
    size === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true));
  text(36, "data");
  view.setUint32(40, 2 * wav.length, true);
  wav.forEach((sample, i) => view.setInt16(44 + 2 * i, Math.round(32767 * Math.min(1, Math.max(-1, sample))), true));
  return new Blob([view], { type: "audio/wav" });
}

// Samples and rate of a 16-bit mono wav, as this page's server and `wavBlob` write it.
export function readWav(content) {
  const view = new DataView(content), rate = view.getUint32(24, true);
  let at = 12;
  while (view.getUint32(at, false) !== 0x64617461) at += 8 + view.getUint32(at + 4, true);
  const count = Math.min(view.getUint32(at + 4, true), content.byteLength - at - 8) >> 1;
  return { rate, wav: Float32Array.from({ length: count }, (_, i) => view.getInt16(at + 8 + 2 * i, true) / 32768) };
}
