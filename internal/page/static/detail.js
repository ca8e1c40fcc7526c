// What the panel shows of the stat that is open: its chart, and what each process
// says of it.

import { Chart, pick } from "./chart.js";
import { colors, faded } from "./colors.js";
import { h, icon, icons, put } from "./dom.js";
import { SPAN } from "./history.js";
import * as numbers from "./numbers.js";
import { visible } from "./names.js";
import { rateOf } from "./table.js";

const LINES = 12; // in the chart of the processes; more can't be told apart

export class Detail {
  // actions: close(), pin(stat), curl(stat), show(values: boolean), paused()
  constructor(root, stat, history, { pinned, values }, actions) {
    this.root = root;
    this.stat = stat;
    this.history = history;
    this.values = values || stat.kind !== "counter"; // not the rates
    this.actions = actions;
    this.pointer = null; // where in the charts the pointer is
    this.rows = new Map();
    this.colors = new Map(); // of each source, once and for all
    this.shape = "";
    this.#build(pinned);
  }

  #build(pinned) {
    const { stat, actions } = this;
    this.pin = h("button", { type: "button", "aria-pressed": String(pinned), title: "Pin", onclick: () => actions.pin(stat) }, icon(icons.pin), h("span", { class: "word" }, "Pin"));
    const curl = h("button", { type: "button", title: "Copy this stat as curl (c)", onclick: () => actions.curl(stat) }, icon(icons.curl), h("span", { class: "word" }, "curl"));
    const close = h("button", { type: "button", class: "close", title: "Close (Esc)", "aria-label": "Close", onclick: actions.close }, icon(icons.close));
    const name = h("h2", { title: stat.full }, h("bdi", {}, h("span", { class: "prefix" }, stat.prefix), h("span", { class: "last" }, stat.last)));
    this.kind = h("span", { class: "tag" }, stat.kind);
    this.facts = h("dl", { class: "facts" });
    this.toggle = null;
    if (stat.kind === "counter") {
      const choice = (values, word) => h("button", { type: "button", "aria-pressed": String(values === this.values), onclick: () => actions.show(values) }, word);
      this.toggle = h("div", { class: "choice", role: "group", "aria-label": "Show" }, choice(false, "Rate"), choice(true, "Value"));
    }
    this.readout = h("p", { class: "readout" });
    this.hostTitle = h("h3", {}, this.#title());
    this.hostChart = h("div", { class: "chart", role: "img" });
    this.shareReadout = h("p", { class: "readout" });
    this.shareTitle = h("h3", {}, "By process");
    this.shareChart = h("div", { class: "chart", role: "img" });
    this.body = h("tbody");
    this.heads = h("tr");
    this.table = h("table", { class: "shares" }, h("thead", {}, this.heads), this.body);
    this.note = h("p", { class: "note", hidden: true });
    this.content = h("div", { class: "panel-body" },
      h("div", { class: "summary" }, this.kind, this.facts),
      h("div", { class: "chart-head" }, this.hostTitle, this.readout, this.toggle),
      this.hostChart,
      h("div", { class: "chart-head" }, this.shareTitle, this.shareReadout),
      this.shareChart, this.note, this.table);
    this.root.replaceChildren(
      h("div", { class: "panel-head" }, name, h("div", { class: "panel-controls" }, this.pin, curl, close)),
      this.content);
    this.root.setAttribute("aria-label", stat.full);
  }

  #title() {
    if (this.stat.isDistribution) return "All processes, by percentile";
    return this.values ? "All processes together" : "All processes together, a second";
  }

  get scrolled() { return this.content.scrollTop; }
  set scrolled(top) { this.content.scrollTop = top; }

  // arrangeColumns makes the head of the table; its rows come anew.
  #arrangeColumns() {
    this.columns = this.#columns();
    this.heads.replaceChildren(...this.columns.map((c) => h("th", { scope: "col", class: c.class }, c.title)));
    this.body.replaceChildren();
    this.rows.clear();
  }

  // columns are those of the table of the processes.
  #columns() {
    const { stat } = this;
    const name = { title: "Process", class: "who" };
    if (stat.isDistribution) {
      const percentiles = this.#labels().slice(0, 4);
      return [name, ...percentiles.map((l) => ({
        title: visible(l.label), class: "number",
        text: (share) => { const own = share.labels.get(l.label); return own && share.here ? numbers.value(own.number, own.text, stat.float || l.percentile === undefined) : "–"; },
      })), { title: "Rate", class: "number", text: (share) => rateOf(share, false) }];
    }
    return [name,
      { title: "Value", class: "number", text: (share) => numbers.value(share.number, share.text, stat.float) },
      { title: stat.kind === "counter" ? "Rate" : "Change", class: "number", text: (share) => rateOf(share, false) }];
  }

  // labels are those of a distribution, the percentiles first and in order.
  #labels() {
    return [...this.stat.labels.values()].sort((a, b) => (a.percentile ?? Infinity) - (b.percentile ?? Infinity));
  }

  // update shows what the history has now.
  update() {
    const { stat, history } = this;
    put(this.kind, stat.here ? stat.kind : `${stat.kind}, gone`);
    this.#updateFacts();
    const slots = history.slots();
    const times = slots.map((slot) => history.times[slot]);
    this.slots = slots;
    this.times = times;
    this.#updateHost(slots, times);
    this.#updateShares(slots, times);
    this.#read();
  }

  pinned(pinned) { this.pin.setAttribute("aria-pressed", String(pinned)); }

  #updateFacts() {
    const { stat } = this;
    const facts = [];
    if (stat.isDistribution) {
      for (const label of this.#labels()) facts.push([visible(label.label), numbers.value(label.number, label.text, stat.float || label.percentile === undefined)]);
      facts.push(["recorded", numbers.value(stat.count)], ["rate", rateOf(stat, false)]);
    } else {
      facts.push(["value", numbers.value(stat.number, stat.text, stat.float)]);
      facts.push([stat.kind === "counter" ? "rate" : "change", rateOf(stat, false)]);
      const trace = stat.trace;
      const seen = this.history.slots().map((slot) => trace[slot]).filter((v) => v - v === 0);
      if (seen.length > 1) {
        const format = stat.kind === "counter" ? numbers.rate : (v) => numbers.value(v, undefined, stat.float);
        facts.push(["mean", format(seen.reduce((a, b) => a + b, 0) / seen.length)]);
        facts.push(["least", format(Math.min(...seen))], ["most", format(Math.max(...seen))]);
      }
    }
    const shape = facts.map(([name]) => name).join("\n");
    if (this.factShape !== shape) {
      this.factShape = shape;
      this.facts.replaceChildren(...facts.map(([name]) => h("div", {}, h("dt", {}, name), h("dd"))));
    }
    facts.forEach(([, text], i) => put(this.facts.children[i].lastChild, text));
  }

  #updateHost(slots, times) {
    const { stat } = this;
    const labels = stat.isDistribution ? this.#labels() : [];
    const shape = labels.map((l) => l.label).join("\n");
    if (!this.host || this.hostShape !== shape) {
      this.hostShape = shape;
      this.#arrangeColumns(); // a distribution without samples has no labels yet
      this.host?.close();
      this.host = new Chart(this.hostChart, { ...this.#hostSeries(labels), sync: "stat", share: 0.3, zero: !this.values, onCursor: (at) => this.#point(at) });
    }
    const traces = stat.isDistribution ? labels.map((l) => l.values) : [this.values ? stat.values : stat.rates];
    this.host.update([times, ...traces.map((trace) => pick(trace, slots))], this.history.latest);
    this.hostChart.setAttribute("aria-label", `Chart of ${stat.full} over the last ${SPAN / 60} minutes, now ${numbers.value(stat.number, stat.text)}`);
  }

  // hostSeries returns a line for each label of a distribution, the median the
  // strongest, and the bands between the percentiles.
  #hostSeries(labels) {
    const palette = colors();
    if (!this.stat.isDistribution) {
      return { series: [{ label: "all", stroke: palette.accent, fill: faded(palette.accent, 0.1), width: 1.75 }] };
    }
    const percentiles = labels.filter((l) => l.percentile !== undefined);
    const series = labels.map((l) => {
      if (l.percentile === undefined) return { label: l.label, stroke: palette.muted, width: 1.25, dash: [3, 4] };
      const main = l.label === this.stat.main;
      return { label: l.label, stroke: faded(palette.accent, main ? 1 : l.percentile >= 100 ? 0.25 : 0.45), width: main ? 2 : 1 };
    });
    const strength = [0.26, 0.15, 0.07];
    const bands = percentiles.slice(1).map((_, i) => ({ series: [i + 2, i + 1], fill: faded(palette.accent, strength[Math.min(i, 2)]) }));
    return { series, bands };
  }

  // shares returns what the sources say, those with the most first: the lines of the
  // chart in the order in which they came, for their colours to stay.
  #shares() {
    return [...(this.history.sources?.all.values() ?? [])].filter((share) => share.about);
  }

  #color(share) {
    let index = this.colors.get(share.id);
    if (index === undefined) {
      index = this.colors.size;
      this.colors.set(share.id, index);
    }
    return index;
  }

  #updateShares(slots, times) {
    const { stat } = this;
    const shares = this.#shares();
    // What is kept of processes that have ended moves when another ends: that is no
    // rate of its own.
    const kept = (share) => share.about.kind === "retained" || share.about.state === "ended";
    const size = (share) => Math.abs(this.values ? share.number : share.rate) || 0;
    const present = shares.filter((share) => share.here).sort((a, b) => kept(a) - kept(b) || this.#color(a) - this.#color(b));
    let drawn = shares.filter((share) => this.values ? !(kept(share) && this.stat.isDistribution) : !kept(share));
    drawn.sort((a, b) => this.#color(a) - this.#color(b));
    const all = drawn.length;
    if (drawn.length > LINES) { // those that are drawn stay, unless they have gone
      const were = new Set((this.drawn ?? []).filter((share) => share.here).map((share) => share.id));
      drawn.sort((a, b) => were.has(b.id) - were.has(a.id) || b.here - a.here || size(b) - size(a));
      drawn = drawn.slice(0, LINES).sort((a, b) => this.#color(a) - this.#color(b));
    }
    // The server has no collection but its latest: not that which the page stands at.
    const unasked = shares.length === 0 && stat.here && this.actions.paused();
    this.note.hidden = all <= LINES && !unasked;
    put(this.note, unasked ? "Paused: what each process says comes when the page goes on." : `The chart has ${LINES} of ${all} processes.`);
    this.drawn = drawn;
    const shape = drawn.map((share) => share.id).join("\n");
    if (!this.share || this.shape !== shape) {
      this.shape = shape;
      this.share?.close();
      const { series } = colors();
      this.share = new Chart(this.shareChart, {
        series: drawn.map((share) => ({ label: share.about.name, stroke: series[this.#color(share) % series.length], dash: this.#color(share) >= series.length ? [4, 3] : undefined })),
        sync: "stat", share: 0.24, zero: !this.values, onCursor: (at) => this.#point(at),
      });
    }
    this.share.update([times, ...drawn.map((share) => pick(this.values ? share.values : share.rates, slots))], this.history.latest);
    put(this.shareTitle, this.stat.isDistribution ? `By process, ${visible(this.stat.main)}` : this.values ? "By process" : "By process, a second");
    this.shareChart.setAttribute("aria-label", `Chart of ${numbers.count(drawn.length, "process", "processes")}; the table below has their numbers`);
    this.#updateTable(present);
  }

  #updateTable(shares) {
    const present = new Set();
    shares.forEach((share, position) => {
      present.add(share.id);
      let row = this.rows.get(share.id);
      if (!row) {
        row = this.#row(share);
        this.rows.set(share.id, row);
      }
      if (this.body.children[position] !== row.root) this.body.insertBefore(row.root, this.body.children[position] ?? null);
      put(row.name, visible(share.about.name));
      put(row.command, describe(share.about));
      row.root.classList.toggle("silent", Boolean(share.about.error));
      this.columns.slice(1).forEach((column, i) => put(row.cells[i], column.text(share)));
    });
    for (const [id, row] of this.rows) {
      if (present.has(id)) continue;
      row.root.remove();
      this.rows.delete(id);
    }
  }

  #row(share) {
    const swatch = h("i", { class: `swatch c${this.#color(share) % 8 + 1}`, "aria-hidden": "true" });
    const name = h("bdi", { class: "source" });
    const command = h("bdi", { class: "command" });
    const cells = this.columns.slice(1).map((column) => h("td", { class: column.class }));
    const root = h("tr", {
      onpointerenter: () => this.share?.emphasize(this.drawn.indexOf(share)),
      onpointerleave: () => this.share?.emphasize(-1),
    }, h("th", { scope: "row", class: "who" }, swatch, name, " ", command), ...cells);
    return { root, name, command, cells };
  }

  #point(at) {
    if (this.pointer === at) return;
    this.pointer = at;
    this.#read();
  }

  // read says what is where the pointer is.
  #read() {
    const at = this.pointer;
    const slot = at === null ? undefined : this.slots?.[at];
    if (slot === undefined) {
      put(this.readout, "");
      put(this.shareReadout, "");
      return;
    }
    const format = this.values ? (v) => numbers.value(v, undefined, this.stat.float) : numbers.rate;
    const say = (v) => (Number.isNaN(v) ? "–" : format(v));
    const time = numbers.clock(this.history.times[slot]);
    const { stat } = this;
    const host = stat.isDistribution
      ? this.#labels().map((l) => `${visible(l.label)} ${say(l.values[slot])}`).join("   ")
      : say((this.values ? stat.values : stat.rates)[slot]);
    put(this.readout, `${time}   ${host}`);
    put(this.shareReadout, this.drawn.slice(0, 4).map((share) => `${visible(share.about.name)} ${say((this.values ? share.values : share.rates)[slot])}`).join("   "));
  }

  close() {
    this.host?.close();
    this.share?.close();
    this.root.replaceChildren();
  }
}

// describe says what a source is, beside its name.
export function describe(source) {
  if (source.kind === "retained") return `kept of ${visible(source.user)}'s programs that have ended`;
  const command = source.command ? visible(source.command) : "";
  if (!source.error) return command;
  const age = source.values_age_seconds === undefined ? "" : `, values of ${numbers.duration(source.values_age_seconds)} ago`;
  return `${command} ${visible(source.state)}${age}`.trim();
}
