// What the collections of the last minutes said of each stat. All stats have rings
// of the same length; the times of their slots are those of the history.

import { read } from "./numbers.js";
import { present, visible } from "./names.js";

// SPAN is what is shown, in seconds. The rings are a bit longer than one collection
// a second fills in that time.
export const SPAN = 300;
const SLOTS = 320;

const ring = () => new Float64Array(SLOTS).fill(NaN);

// A Stat is one row of the page.
export class Stat {
  constructor(id, name, kind) {
    this.id = id; // its name, with something that no name has if another has it
    this.name = name;
    this.kind = kind;
    this.isDistribution = kind === "distribution";
    Object.assign(this, present(name, this.isDistribution)); // prefix, last
    this.full = visible(name);
    this.haystack = `${name}\n${this.full}\n${this.prefix}${this.last}\n${kind}`.toLowerCase();
    this.values = ring(); // of the main label of a distribution
    this.rates = kind === "counter" || this.isDistribution ? ring() : null; // a second
    this.labels = new Map(); // of a distribution: label -> { label, percentile, values, number, text }
    this.main = ""; // the label whose value is that of the distribution
    this.number = NaN;
    this.text = "";
    this.float = false; // it once was no integer
    this.count = NaN;
    this.rate = NaN; // a second
    this.change = NaN; // since the collection before
    this.changed = false;
    this.resetAt = -Infinity; // when the counter last fell, Unix time
    this.resets = []; // slots in which it fell
    this.at = NaN;
    this.seen = -1;
    this.here = true;
    this.big = null;
  }

  // take takes in what a collection says.
  take(stat, time, tick) {
    const slot = tick % SLOTS;
    const elapsed = time - this.at;
    const before = { number: this.number, text: this.text, big: this.big, count: this.count };
    if (this.resets.length && this.resets[0] <= tick - SLOTS) this.resets.shift();
    if (this.isDistribution) this.#takeLabels(stat, slot);
    else Object.assign(this, read(stat.value));
    this.values[slot] = this.number;
    if (this.number % 1) this.float = true;

    const counted = this.isDistribution ? stat.count : this.number;
    const had = this.isDistribution ? before.count : before.number;
    this.count = this.isDistribution ? read(stat.count).number : NaN;
    this.change = this.big !== null && before.big !== null ? Number(this.big - before.big) : counted - had;
    this.rate = elapsed > 0 ? this.change / elapsed : NaN;
    this.changed = !Number.isNaN(this.at) && (before.text !== this.text || (this.isDistribution && this.change !== 0));
    if (this.rates && this.change < 0) { // never a negative rate
      this.resetAt = time;
      this.resets.push(tick);
      this.rate = NaN;
      this.change = NaN;
    }
    if (this.rates) this.rates[slot] = this.rate;
    this.at = time;
    this.seen = tick;
    this.here = true;
  }

  #takeLabels(stat, slot) {
    for (const label of this.labels.values()) label.values[slot] = NaN;
    this.main = (stat.labels.find((l) => l.percentile === 50) ?? stat.labels[0])?.label ?? "";
    this.number = NaN;
    this.text = "–";
    this.big = null;
    for (const { label, percentile, value } of stat.labels) {
      let known = this.labels.get(label);
      if (!known) {
        known = { label, values: ring() };
        this.labels.set(label, known);
      }
      Object.assign(known, { percentile }, read(value));
      known.values[slot] = known.number;
      if (known.number % 1 && known.percentile !== undefined) this.float = true;
      if (label === this.main) {
        this.number = known.number;
        this.text = known.text;
      }
    }
  }

  // takeOld takes in a value that was seen before: nobody knows how it has moved since.
  takeOld(stat, time, tick, age) {
    const at = age === undefined ? this.at : time - age;
    this.take(stat, time, tick);
    this.at = at; // the next rate is since then
    this.rate = NaN;
    this.change = NaN;
    if (this.rates) this.rates[tick % SLOTS] = NaN;
  }

  // miss notes that a collection doesn't have it.
  miss(slot) {
    this.values[slot] = NaN;
    if (this.rates) this.rates[slot] = NaN;
    for (const label of this.labels.values()) label.values[slot] = NaN;
    this.here = false;
    this.changed = false;
    this.rate = NaN;
    this.change = NaN;
  }

  // skip notes that there was no collection.
  skip(slot) {
    const { here, changed, rate, change } = this;
    this.miss(slot);
    Object.assign(this, { here, changed, rate, change });
  }

  // trace is what the small chart shows of it.
  get trace() { return this.kind === "counter" ? this.rates : this.values; }
}

export class History {
  constructor() {
    this.times = ring();
    this.tick = -1;
    this.latest = NaN; // Unix time of the latest collection
    this.stats = new Map();
    this.sources = null; // what each source says of the stat that is open
  }

  // add takes in a document, and tells whether there are other stats than before.
  add(document) {
    if (document.timestamp === this.latest) { // asked for again, for the stat that is open
      if (this.sources && document.detail) this.sources.take(document, this.tick);
      return false;
    }
    const slot = this.#next(document.timestamp);
    let others = false;
    let previous = "";
    for (const stat of document.stats) {
      // A value and a distribution may have the same name.
      const id = stat.name === previous ? stat.name + "\n2" : stat.name;
      previous = stat.name;
      let known = this.stats.get(id);
      if (!known || known.kind !== stat.kind) {
        known = new Stat(id, stat.name, stat.kind);
        this.stats.set(id, known);
        others = true;
      }
      known.take(stat, document.timestamp, this.tick);
    }
    for (const stat of this.stats.values()) {
      if (stat.seen === this.tick) continue;
      if (this.tick - stat.seen >= SLOTS) {
        this.stats.delete(stat.id);
        others = true;
        continue;
      }
      stat.miss(slot);
    }
    if (this.sources && document.detail) this.sources.take(document, this.tick);
    this.latest = document.timestamp;
    return others;
  }

  // gap notes that nobody has asked for a while: the lines of all charts end.
  gap() {
    if (this.tick < 0) return;
    const slot = this.#next(this.latest + 0.001);
    for (const stat of this.stats.values()) stat.skip(slot);
    this.sources?.gap(slot);
  }

  #next(time) {
    const slot = ++this.tick % SLOTS;
    this.times[slot] = time;
    return slot;
  }

  // slots returns the slots within the span, the oldest first.
  slots() {
    const slots = [];
    for (let tick = Math.max(0, this.tick - SLOTS + 1); tick <= this.tick; tick++) {
      const slot = tick % SLOTS;
      if (this.times[slot] >= this.latest - SPAN) slots.push(slot);
    }
    return slots;
  }

  // follow begins to keep what each source says of a stat; null ends it.
  follow(stat) {
    this.sources = stat && new Shares(stat);
  }
}

// Shares are what each source says of one stat.
class Shares {
  constructor(stat) {
    this.stat = stat;
    this.all = new Map(); // by source
  }

  take(document, tick) {
    if (document.detail.name !== this.stat.name) return; // asked for before it was opened
    const slot = tick % SLOTS;
    for (const share of this.all.values()) share.miss(slot);
    for (const { source, stats } of document.detail.sources) {
      const about = document.sources[source];
      const said = stats.find((s) => (s.kind === "distribution") === this.stat.isDistribution);
      if (!said) continue;
      const key = `${about.kind} ${about.name} ${about.id ?? ""}`;
      let share = this.all.get(key);
      if (!share || share.kind !== said.kind) {
        share = new Stat(key, this.stat.name, said.kind);
        this.all.set(key, share);
      }
      share.about = about;
      if (about.error) share.takeOld(said, document.timestamp, tick, about.values_age_seconds);
      else share.take(said, document.timestamp, tick);
    }
    for (const [key, share] of this.all) {
      if (tick - share.seen >= SLOTS) this.all.delete(key);
    }
  }

  gap(slot) {
    for (const share of this.all.values()) share.skip(slot);
  }
}
