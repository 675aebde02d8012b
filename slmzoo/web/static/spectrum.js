// Spectrograms: frames of 25 ms every 10 ms, 128 mel bands up to 8 kHz, in the colours of viridis.

export const COLUMNS_PER_SECOND = 100;
export const BANDS = 128;
const RANGE_DB = 70, FLOOR_DB = -45;


const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
// Okabe and Ito's colours, which people with any colour vision tell apart.
const UNITS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#b8bec4"];

const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function scale(anchors) {
  const colours = anchors.map(parts);
  return Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (colours.length - 1), low = Math.min(Math.floor(place), colours.length - 2);
    return colours[low].map((value, c) => Math.round(value + (colours[low + 1][c] - value) * (place - low)));
  });
}

const viridis = scale(VIRIDIS), cividis = scale(CIVIDIS);

export const likelihoodColour = (share) => `rgb(${cividis[Math.round(255 * Math.min(1, Math.max(0, share)))]})`;
export const unitColour = (unit) => UNITS[(unit * 5) % UNITS.length];
export function inkOn(colour) {
  const [r, g, b] = colour.startsWith("#") ? parts(colour) : colour.match(/\d+/g).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff";
}

// Radix-2 transform in place.
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
  }
  for (let size = 2; size <= n; size <<= 1) {
    const half = size >> 1, angle = (-2 * Math.PI) / size;
    for (let k = 0; k < half; k++) {
      const c = Math.cos(angle * k), s = Math.sin(angle * k);
      for (let i = k; i < n; i += size) {
        const a = re[i + half] * c - im[i + half] * s, b = re[i + half] * s + im[i + half] * c;
        re[i + half] = re[i] - a;
        im[i + half] = im[i] - b;
        re[i] += a;
        im[i] += b;
      }
    }
  }
}

const mel = (hertz) => 1127 * Math.log(1 + hertz / 700);
const hertz = (value) => 700 * (Math.exp(value / 1127) - 1);

// Columns of a waveform as it grows; the picture is `canvas`, one pixel per column and band.
export class Spectrum {
  constructor(rate) {
    this.rate = rate;
    this.window = Math.round(0.025 * rate);
    this.size = 2 ** Math.ceil(Math.log2(this.window));
    this.hann = Float32Array.from({ length: this.window }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / this.window));
    const top = mel(Math.min(8000, rate / 2));
    this.bins = Array.from({ length: BANDS + 1 }, (_, i) => (hertz((top * i) / BANDS) * this.size) / rate);
    this.re = new Float32Array(this.size);
    this.im = new Float32Array(this.size);
    this.columns = 0;
    this.peak = FLOOR_DB;
    this.canvas = document.createElement("canvas");
    this.canvas.width = 1024;
    this.canvas.height = BANDS;
  }

  // Draw the columns that `count` samples of `wav` complete.
  grow(wav, count) {
    const whole = Math.floor(((count - this.window) * COLUMNS_PER_SECOND) / this.rate) + 1;
    if (whole <= this.columns) return;
    this.widen(whole);
    const pen = this.canvas.getContext("2d"), added = whole - this.columns;
    const levels = Array.from({ length: added }, (_, i) => this.levels(wav, this.columns + i));
    for (const column of levels) for (const level of column) this.peak = Math.max(this.peak, level);
    const image = pen.createImageData(added, BANDS);
    levels.forEach((column, x) => column.forEach((level, band) => {
      const share = Math.min(1, Math.max(0, (level - this.peak + RANGE_DB) / RANGE_DB));
      const at = 4 * ((BANDS - 1 - band) * added + x), colour = viridis[Math.round(255 * share)];
      for (let c = 0; c < 3; c++) image.data[at + c] = colour[c];
      image.data[at + 3] = 255;
    }));
    pen.putImageData(image, this.columns, 0);
    this.columns = whole;
  }

  levels(wav, column) {
    const first = Math.round((column * this.rate) / COLUMNS_PER_SECOND);
    this.re.fill(0);
    this.im.fill(0);
    for (let i = 0; i < this.window; i++) this.re[i] = (wav[first + i] || 0) * this.hann[i];
    fft(this.re, this.im);
    return Float32Array.from({ length: BANDS }, (_, band) => {
      const from = Math.floor(this.bins[band]), to = Math.max(from + 1, Math.floor(this.bins[band + 1]));
      let power = 1e-9;
      for (let bin = from; bin < to; bin++) power += this.re[bin] ** 2 + this.im[bin] ** 2;
      return 10 * Math.log10(power / (to - from) / this.window ** 2);
    });
  }

  widen(columns) {
    if (columns <= this.canvas.width) return;
    const wider = document.createElement("canvas");
    wider.width = Math.min(65535, Math.max(columns, 2 * this.canvas.width));
    wider.height = BANDS;
    wider.getContext("2d").drawImage(this.canvas, 0, 0);
    this.canvas = wider;
  }
}
