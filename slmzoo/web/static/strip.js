// A spectrogram with its units below: drawn while it grows, pointed at, moved through by keys.

import { BANDS, COLUMNS_PER_SECOND, inkOn, likelihoodColour, Spectrum, unitColour } from "./spectrum.js";

const HEIGHT = 150, RIBBON = 38, AXIS = 18;
const LIVE_SCALE = 240, LEAST_SCALE = 90, MOST_SCALE = 420, WIDEST = 16000;

export class Strip {
  // `picked(index, firmly)` is called for a unit pointed at, or firmly chosen; `thin` leaves the spectrogram out.
  constructor(host, label, picked = () => {}, thin = false) {
    this.box = document.createElement("div");
    this.box.className = "strip";
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "slider");
    this.canvas.setAttribute("aria-label", label);
    this.box.append(this.canvas);
    host.append(this.box);
    this.picked = picked;
    this.height = thin ? 0 : HEIGHT;
    this.places = [];
    this.index = -1;
    this.head = null;
    this.listen();
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(host);
  }

  hear(wav, rate, count = wav.length) {
    if (!this.spectrum || this.spectrum.rate !== rate || count / rate < this.seconds) this.spectrum = new Spectrum(rate);
    this.spectrum.grow(wav, count);
    this.seconds = count / rate;
  }

  // Units as the server tells them; with `shares` from 0 to 1 they are drawn over the spectrogram in these colours.
  show(answer, shares = null) {
    let frame = 0;
    this.places = answer.units.map((unit, i) => {
      const start = frame / answer.frame_rate;
      frame += answer.durations[i];
      return { unit, start, end: frame / answer.frame_rate };
    });
    this.shares = shares;
    this.index = Math.min(this.index, this.places.length - 1);
    this.canvas.dataset.units = this.places.length;
    this.canvas.setAttribute("aria-valuemin", 0);
    this.canvas.setAttribute("aria-valuemax", Math.max(0, this.places.length - 1));
  }

  get scale() {
    const width = this.box.clientWidth || 600;
    if (this.live) return LIVE_SCALE;
    const fitting = width / Math.max(0.1, this.seconds || 0.1);
    return Math.min(MOST_SCALE, Math.max(fitting, Math.min(LEAST_SCALE, WIDEST / this.seconds)));
  }

  // First second that is seen: a recording in progress moves on to the left.
  get from() {
    return this.live ? Math.max(0, this.seconds - (this.box.clientWidth - 40) / LIVE_SCALE) : 0;
  }

  draw() {
    if (this.seconds === undefined || !this.box.clientWidth) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1), scale = this.scale;
    const width = Math.min(WIDEST, Math.max(this.live ? this.box.clientWidth : 1, Math.round(this.live ? 0 : this.seconds * scale)));
    const height = this.height + RIBBON + AXIS;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      Object.assign(this.canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
      Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = "#1b0a2a";
    pen.fillRect(0, 0, width, height);
    this.drawSpectrum(pen, width, scale);
    this.drawUnits(pen, width, scale);
    this.drawAxis(pen, width, height, scale);
    if (this.head !== null) this.mark(pen, (this.head - this.from) * scale, height);
  }

  drawSpectrum(pen, width, scale) {
    if (!this.height || !this.spectrum) return;
    const first = this.from * COLUMNS_PER_SECOND, count = (width / scale) * COLUMNS_PER_SECOND;
    const seen = Math.max(0, Math.min(count, this.spectrum.columns - first));
    if (seen) pen.drawImage(this.spectrum.canvas, first, 0, seen, BANDS, 0, 0, (seen / count) * width, this.height);
  }

  drawUnits(pen, width, scale) {
    const chosen = this.places[this.index]?.unit;
    pen.font = "600 11px system-ui, 'DejaVu Sans', sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.places.forEach((place, i) => {
      const left = (place.start - this.from) * scale, right = (place.end - this.from) * scale;
      if (right < 0 || left > width) return;
      const colour = this.shares ? likelihoodColour(this.shares[i] ?? 0) : unitColour(place.unit);
      this.drawUnit(pen, place, left, right - left, colour, i);
      if (place.unit === chosen) this.outline(pen, left, right - left, i === this.index);
    });
  }

  drawUnit(pen, place, left, width, colour, i) {
    if (this.height) {
      if (this.shares && this.shares[i] !== null) {
        pen.globalAlpha = 0.5;
        pen.fillStyle = colour;
        pen.fillRect(left, 0, width, this.height);
        pen.globalAlpha = 1;
      }
      pen.fillStyle = "rgb(255 255 255 / 30%)";
      pen.fillRect(left, 0, 0.8, this.height);
    }
    pen.fillStyle = colour;
    pen.fillRect(left + 0.4, this.height + 1, Math.max(0.6, width - 0.8), RIBBON - 2);
    const text = String(place.unit);
    if (width > 7 * text.length + 3) {
      pen.fillStyle = inkOn(colour);
      pen.fillText(text, left + width / 2, this.height + RIBBON / 2);
    }
  }

  outline(pen, left, width, itself) {
    pen.fillStyle = itself ? "rgb(255 255 255 / 34%)" : "rgb(255 255 255 / 20%)";
    pen.fillRect(left, 0, width, this.height);
    pen.strokeStyle = "#fff";
    pen.lineWidth = itself ? 3 : 1.5;
    pen.strokeRect(left + 1, 1, Math.max(1, width - 2), this.height + RIBBON - 2);
  }

  drawAxis(pen, width, height, scale) {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60], step = steps.find((each) => each * scale >= 60) || 60;
    pen.fillStyle = "#cfd8e3";
    pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
    pen.textAlign = "left";
    for (let i = Math.ceil(this.from / step); (i * step - this.from) * scale < width; i++) {
      const x = (i * step - this.from) * scale;
      pen.fillRect(x, height - AXIS, 1, 4);
      pen.fillText(`${(i * step).toFixed(step < 1 ? 1 : 0)} s`, x + 3, height - AXIS / 2 + 1);
    }
  }

  mark(pen, x, height) {
    pen.fillStyle = "#fff";
    pen.fillRect(x - 1, 0, 2, height - AXIS);
  }

  at(event) {
    const second = event.offsetX / this.scale + this.from;
    return this.places.findIndex((place) => second >= place.start && second < place.end);
  }

  pick(index, firmly) {
    if (index < 0 || index >= this.places.length) return;
    this.index = index;
    const place = this.places[index];
    this.canvas.setAttribute("aria-valuenow", index);
    this.canvas.setAttribute("aria-valuetext", `unit ${place.unit}, ${place.start.toFixed(2)} to ${place.end.toFixed(2)} seconds`);
    this.picked(index, firmly);
    this.draw();
  }

  listen() {
    const keys = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 };
    this.canvas.addEventListener("pointermove", (event) => {
      const index = this.at(event);
      if (index !== this.index) this.pick(index, false);
    });
    this.canvas.addEventListener("click", (event) => this.pick(this.at(event), true));
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.pick(this.index, true);
      else if (keys[event.key]) this.step(keys[event.key]);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  step(by) {
    const last = this.places.length - 1;
    this.pick(Math.min(last, Math.max(0, this.index + by)), false);
    const left = (this.places[this.index]?.start ?? 0) * this.scale - this.box.clientWidth / 2;
    this.box.scrollLeft = left;
  }

  remove() {
    this.watch.disconnect();
    this.box.remove();
  }
}
