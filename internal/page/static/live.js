// Asking the server, again and again: for as long as the page is seen and doesn't
// pause. Of all pages that look at a server, those that ask in the same second get
// the same collection.

const LEAD = 150; // ms; the server keeps those who come early waiting for the next
const LATE = 4000; // ms; from here on the page says that it waits
const LIMIT = 45000; // ms; the server itself gives up sooner
const LONGEST_BREAK = 10; // seconds between two tries

// pauseFor returns when the time is over, or at the signal.
function pauseFor(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}

export class Live {
  // options: query() returns more parameters, onDocument(document, afterBreak)
  // takes an answer, onState(state) what has become of the asking:
  // { name: "live" | "paused" | "lost" | "late", message, since, retryAt }
  constructor(options) {
    this.options = options;
    this.every = 1; // seconds
    this.paused = false;
    this.after = "";
    this.running = null;
    this.broken = false; // something was missed since the last answer
    this.lostSince = null;
    this.heard = 0; // when the last answer came, performance.now()
    document.addEventListener("visibilitychange", () => this.restart());
    addEventListener("online", () => this.lostSince && this.restart());
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", (event) => event.persisted && this.restart());
  }

  stop() {
    this.running?.abort();
    this.running = null;
  }

  // restart begins to ask, or ends it, as things are now.
  restart() {
    this.stop();
    if (this.paused) {
      this.options.onState({ name: "paused" });
      return;
    }
    if (document.hidden) return;
    this.running = new AbortController();
    this.#run(this.running.signal);
  }

  pause(paused) {
    this.paused = paused;
    this.restart();
  }

  // hurry makes it ask at once, for the latest collection even if the page has it.
  hurry() {
    if (!this.running || this.lostSince) return;
    this.after = "";
    this.restart();
  }

  async #run(signal) {
    for (let failures = 0; !signal.aborted;) {
      let answer;
      try {
        answer = await this.#ask(signal);
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        this.broken = true;
        this.lostSince ??= Date.now();
        const seconds = Math.min(LONGEST_BREAK, 2 ** (failures - 1));
        this.options.onState({ name: "lost", message: error.message, since: this.lostSince, retryAt: Date.now() + seconds * 1000 });
        await pauseFor(seconds * 1000, signal);
        continue;
      }
      failures = 0;
      this.lostSince = null;
      const now = performance.now();
      const missed = this.broken || (this.heard && now - this.heard > this.every * 3000 + LATE);
      this.broken = false;
      this.heard = now;
      this.after = answer.timestamp.toFixed(3);
      this.options.onState({ name: "live" });
      this.options.onDocument(answer, missed);
      await pauseFor(this.every * 1000 - LEAD, signal);
    }
  }

  async #ask(signal) {
    const limit = new AbortController();
    const give = () => limit.abort();
    signal.addEventListener("abort", give, { once: true });
    const timer = setTimeout(give, LIMIT);
    const since = Date.now();
    const late = setTimeout(() => {
      if (!this.lostSince) this.options.onState({ name: "late", since });
    }, LATE);
    try {
      const query = [...this.options.query()];
      if (this.after) query.unshift(`after=${this.after}`);
      const response = await fetch(`live?${query.join("&")}`, { signal: limit.signal, cache: "no-store" });
      if (!response.ok) throw new Error(await reason(response));
      return await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw new Error("it does not answer");
      if (error instanceof TypeError) throw new Error("it can't be reached");
      if (error instanceof SyntaxError) throw new Error("its answer is none");
      throw error;
    } finally {
      clearTimeout(timer);
      clearTimeout(late);
      signal.removeEventListener("abort", give);
    }
  }
}

// reason returns why the server refuses.
async function reason(response) {
  try {
    const { message } = await response.json();
    if (message) return message;
  } catch {
    // It is somebody else's answer, such as a proxy's.
  }
  return `it answers ${response.status} ${response.statusText}`.trim();
}
