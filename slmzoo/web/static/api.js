// Requests to the server. Every failure is an Error whose message is meant for the person at the page.

const GONE = "The server does not answer. Start `slmzoo web` again; what is on this page stays here until then.";

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw Object.assign(new Error(GONE), { gone: true });
  }
  if (!answer.ok) {
    const body = await answer.text();
    let words = body;
    try {
      words = JSON.parse(body).error;
    } catch { /* refused before the page's own handlers: the text is the message */ }
    throw new Error(words || `The server answered ${answer.status}.`);
  }
  return answer;
}

export const json = async (path) => (await ask(path)).json();

export async function post(verb, asked) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked) };
  return (await ask(`api/${verb}`, options)).json();
}

export async function upload(blob, name, limits) {
  if (limits && blob.size > limits.upload_bytes) {
    const most = Math.round(limits.upload_bytes / 2 ** 20);
    throw new Error(`${name} is larger than the page takes (${most} MB). Cut it, or use \`slmzoo units\`, which takes any length.`);
  }
  const headers = { "x-name": encodeURIComponent(name) };
  return (await ask("api/recordings", { method: "POST", headers, body: blob })).json();
}

export const drop = (id) => ask(`api/recordings/${id}`, { method: "DELETE" });
export const bytes = async (path) => (await ask(path)).arrayBuffer();

// A recording in progress: `send` takes samples; `on` has open, units, speech, done and failed.
export class Live {
  constructor(asked, on) {
    const url = new URL("api/live", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = "";
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.on = on;
    this.waiting = [];
    this.ended = false;
    this.socket.onopen = () => this.socket.send(JSON.stringify(asked));
    this.socket.onmessage = (event) => this.take(event.data);
    this.socket.onclose = () => this.end(() => on.failed(new Error("The connection was lost."), true));
  }

  take(data) {
    if (typeof data !== "string") {
      this.on.speech(new Float32Array(data), this.rate);
      return;
    }
    const message = JSON.parse(data);
    if (message.error) this.end(() => this.on.failed(new Error(message.error), false, message.recording));
    else if (message.done) this.end(() => this.on.done(message.recording));
    else if (message.speech) this.rate = message.speech;
    else if (message.ready) this.begin();
    else this.on.units(message);
  }

  begin() {
    this.ready = true;
    this.waiting.splice(0).forEach((message) => this.socket.send(message));
  }

  end(then) {
    if (this.ended) return;
    this.ended = true;
    then();
  }

  send(message) {
    if (this.ended) return;
    if (this.ready) this.socket.send(message);
    else this.waiting.push(message);
  }

  stop() {
    this.send(JSON.stringify({ stop: true }));
  }
}
