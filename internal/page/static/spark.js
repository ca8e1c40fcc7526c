// The small chart of a row.

import { colors, faded } from "./colors.js";
import { SPAN } from "./history.js";

// A Frame is what all small charts of one drawing share.
export class Frame {
  constructor(history, width, height) {
    this.history = history;
    this.slots = history.slots();
    this.width = width;
    this.height = height;
    this.ratio = Math.min(devicePixelRatio || 1, 3);
    this.colors = colors();
    const right = width - 3; // where the dot has its place
    this.x = new Float64Array(history.times.length);
    for (const slot of this.slots) this.x[slot] = right - ((history.latest - history.times[slot]) / SPAN) * right;
  }

  // draw draws what a stat was.
  draw(canvas, stat) {
    const width = Math.round(this.width * this.ratio);
    const height = Math.round(this.height * this.ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (!stat) return;
    const trace = stat.trace;
    const band = bandOf(stat);
    const [least, most] = this.#range([trace, ...band]);
    if (least > most) return;
    const flat = least === most;
    const bottom = stat.kind === "counter" ? Math.min(0, least) : least;
    const scale = (this.height - 6) / (flat && bottom === most ? 1 : most - bottom);
    const y = (v) => (flat && bottom === most ? this.height - (stat.kind === "counter" ? 3 : this.height / 2) : this.height - 3 - (v - bottom) * scale);
    const color = flat ? this.colors.faint : this.colors.accent;

    if (band.length === 2) {
      context.fillStyle = faded(color, 0.2);
      this.#fill(context, band[0], band[1], y);
    } else if (!flat || stat.kind === "counter") {
      context.fillStyle = faded(color, 0.1);
      this.#fill(context, trace, null, y);
    }
    context.strokeStyle = color;
    context.lineWidth = 1.25;
    context.lineJoin = "round";
    context.beginPath();
    let drawing = false;
    let last = null;
    for (const slot of this.slots) {
      const v = trace[slot];
      if (!Number.isFinite(v)) {
        drawing = false;
        continue;
      }
      const at = y(v);
      if (drawing) context.lineTo(this.x[slot], at);
      else {
        context.moveTo(this.x[slot], at);
        context.lineTo(this.x[slot] + 0.5, at);
      }
      drawing = true;
      last = [this.x[slot], at];
    }
    context.stroke();
    context.fillStyle = this.colors.reset;
    for (const tick of stat.resets) {
      const slot = tick % trace.length;
      if (this.history.times[slot] >= this.history.latest - SPAN) context.fillRect(this.x[slot] - 0.75, 1, 1.5, this.height - 2);
    }
    if (drawing && last) { // it is there now
      context.fillStyle = color;
      context.beginPath();
      context.arc(last[0], last[1], 1.75, 0, 2 * Math.PI);
      context.fill();
    }
  }

  #range(traces) {
    let least = Infinity;
    let most = -Infinity;
    for (const trace of traces) {
      for (const slot of this.slots) {
        const v = trace[slot];
        if (v - v !== 0) continue; // NaN and infinities
        if (v < least) least = v;
        if (v > most) most = v;
      }
    }
    return [least, most];
  }

  // fill fills what is between two lines, or below one.
  #fill(context, upper, lower, y) {
    let from = -1;
    const flush = (to) => {
      if (from < 0) return;
      context.beginPath();
      for (let i = from; i < to; i++) {
        const at = y(upper[this.slots[i]]);
        if (i === from) context.moveTo(this.x[this.slots[i]], at);
        else context.lineTo(this.x[this.slots[i]], at);
      }
      for (let i = to - 1; i >= from; i--) {
        context.lineTo(this.x[this.slots[i]], lower ? y(lower[this.slots[i]]) : this.height);
      }
      context.fill();
      from = -1;
    };
    this.slots.forEach((slot, i) => {
      if (Number.isFinite(upper[slot]) && (!lower || Number.isFinite(lower[slot]))) {
        if (from < 0) from = i;
      } else flush(i);
    });
    flush(this.slots.length);
  }
}

// bandOf returns the traces of the highest percentile below the highest value, and
// of the lowest.
function bandOf(stat) {
  if (!stat.isDistribution) return [];
  const labels = [...stat.labels.values()].filter((l) => l.percentile !== undefined).sort((a, b) => a.percentile - b.percentile);
  const tail = labels.filter((l) => l.percentile < 100);
  const high = tail.at(-1) ?? labels.at(-1);
  const low = labels[0];
  return high && low && high !== low ? [high.values, low.values] : [];
}
