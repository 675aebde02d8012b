// Samples of the microphone, posted to the page in blocks of 20 ms.
class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate / 50));
    this.filled = 0;
  }

  process(inputs) {
    const samples = inputs[0][0];
    for (let i = 0; samples && i < samples.length; i++) {
      this.block[this.filled++] = samples[i];
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("tap", Tap);
