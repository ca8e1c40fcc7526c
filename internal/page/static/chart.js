// The large charts: uPlot in the page's colours.

import { colors } from "./colors.js";
import { SPAN } from "./history.js";
import * as numbers from "./numbers.js";

const uPlot = globalThis.uPlot;
const font = "11px system-ui, sans-serif";

export class Chart {
  // series: [{ label, stroke, width, dash, fill }]; bands as uPlot has them.
  // onCursor(slotIndex | null) is told what the pointer is at.
  constructor(root, { series, bands = [], share = 0.3, zero = false, sync, onCursor = () => {} }) {
    const palette = colors();
    this.root = root;
    this.share = share; // of the height of the window
    const axis = {
      stroke: palette.muted,
      font,
      grid: { stroke: palette.line, width: 1 },
      ticks: { show: false },
      gap: 6,
    };
    this.plot = new uPlot({
      width: Math.max(root.clientWidth, 120),
      height: this.#height(),
      legend: { show: false },
      padding: [8, 8, 0, 0],
      bands,
      cursor: {
        y: false,
        drag: { x: false, y: false },
        sync: sync && { key: sync },
        points: { size: 6, width: 1.5 },
      },
      scales: {
        x: { time: true },
        y: { range: (_, least, most) => range(least, most, zero) },
      },
      axes: [
        { ...axis, size: 26, space: 70, values: (_, times) => times.map((t) => (t % 60 === 0 ? numbers.clock(t).slice(0, 5) : numbers.clock(t))), incrs: [10, 30, 60, 120] },
        { ...axis, size: (_, labels) => Math.max(46, 14 + 6.5 * Math.max(2, ...(labels ?? []).map((l) => l.length))), space: 34, values: (_, values) => values.map(numbers.short) },
      ],
      series: [{}, ...series.map((s) => ({ points: { show: false }, width: 1.5, ...s }))],
      hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)] },
    }, [[], ...series.map(() => [])], root);
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(root);
  }

  #height() {
    return Math.round(Math.max(140, Math.min(360, (innerHeight - 260) * this.share)));
  }

  #resize() {
    const width = this.root.clientWidth;
    const height = this.#height();
    if (width > 0 && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
  }

  // update shows other data; the time axis always ends at the latest collection.
  update(data, latest) {
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.plot.setScale("x", { min: latest - SPAN, max: latest });
    });
  }

  // emphasize draws one series (from 0) as it is and the others pale; -1 none.
  emphasize(index) {
    this.plot.series.forEach((series, i) => { if (i > 0) series.alpha = index < 0 || i === index + 1 ? 1 : 0.15; });
    this.plot.redraw(false);
  }

  close() {
    this.observer.disconnect();
    this.plot.destroy();
  }
}

// range returns what an axis shows: zero where it is near.
function range(least, most, zero) {
  if (least === null || most === null) return [0, 1];
  if (zero || (least >= 0 && least < most / 2)) least = Math.min(0, least);
  if (least === most) {
    const around = Math.abs(most) / 10 || 1;
    return [least >= 0 && least - around < 0 ? 0 : least - around, most + around];
  }
  const room = (most - least) * 0.06;
  return [least === 0 ? 0 : least - room, most + room];
}

// pick returns what a trace was in those slots; null where it has a gap.
export function pick(trace, slots) {
  const picked = new Array(slots.length);
  for (let i = 0; i < slots.length; i++) {
    const v = trace[slots[i]];
    picked[i] = v - v === 0 ? v : null;
  }
  return picked;
}
