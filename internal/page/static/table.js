// The table of stats. Only the rows that can be seen are there, and each is used for
// another stat when it leaves the view.

import { Frame } from "./spark.js";
import * as numbers from "./numbers.js";

const OVERSCAN = 4; // rows beyond each end
const RESET_SHOWN = 15; // seconds

function element(tag, className, role) {
  const e = document.createElement(tag);
  e.className = className;
  if (role) e.setAttribute("role", role);
  return e;
}

// say changes the text if it is another.
function say(node, text) {
  if (node.data !== text) node.data = text;
}

function text(parent) {
  const node = document.createTextNode("");
  parent.append(node);
  return node;
}

class Row {
  constructor(id) {
    this.root = element("div", "row", "row");
    this.root.id = id;
    const pinCell = element("div", "pin-cell", "gridcell");
    this.pin = element("button", "pin");
    this.pin.type = "button";
    this.pin.tabIndex = -1;
    this.pin.setAttribute("aria-pressed", "false");
    pinCell.append(this.pin);
    const name = element("div", "name", "rowheader");
    const bdi = element("bdi", "");
    this.name = bdi;
    const prefix = element("span", "prefix");
    const last = element("span", "last");
    this.prefix = text(prefix);
    this.last = text(last);
    bdi.append(prefix, last);
    const which = element("span", "which");
    this.which = text(which);
    name.append(bdi, which);
    const kind = element("div", "kind", "gridcell");
    this.kind = text(kind);
    const value = element("div", "value", "gridcell");
    this.value = text(value);
    this.valueCell = value;
    const rate = element("div", "rate", "gridcell");
    this.rate = text(rate);
    const spark = element("div", "spark", "gridcell");
    spark.setAttribute("aria-hidden", "true");
    this.canvas = document.createElement("canvas");
    spark.append(this.canvas);
    this.root.append(pinCell, name, kind, value, rate, spark);
    this.stat = null;
    this.index = -1;
    this.classes = "row";
  }
}

export class Table {
  // callbacks: onOpen(stat), onPin(stat)
  constructor(grid, rows, callbacks) {
    this.grid = grid;
    this.body = rows;
    this.callbacks = callbacks;
    this.list = [];
    this.pinned = 0;
    this.pool = [];
    this.active = null; // the stat that the keyboard is at
    this.opened = null;
    this.history = null;
    this.view = { height: 0, row: 34, spark: [0, 0], head: 0 };
    this.drawn = -1;
    grid.addEventListener("scroll", () => this.#schedule(), { passive: true });
    rows.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.measure()).observe(grid);
  }

  // measure looks at the sizes; everything else gets along without asking for them.
  measure() {
    const style = getComputedStyle(this.grid);
    const row = parseFloat(style.getPropertyValue("--row")) || 34;
    if (row !== this.view.row) {
      const first = this.grid.scrollTop / this.view.row; // which stays the first that is seen
      this.view.row = row;
      for (const placed of this.pool) placed.index = -1;
      this.#stretch();
      this.grid.scrollTop = first * row;
    }
    this.view.height = this.grid.clientHeight;
    this.view.head = this.grid.querySelector(".head").offsetHeight;
    this.#fillPool();
    const spark = this.pool[0]?.canvas.parentNode;
    this.view.spark = spark ? [spark.clientWidth, spark.clientHeight] : [0, 0];
    this.#redraw();
  }

  // show makes the table that of these stats.
  show(list, pinned, history) {
    this.list = list;
    this.pinned = pinned;
    this.history = history;
    this.#stretch();
    this.grid.setAttribute("aria-rowcount", String(list.length + 1));
    this.#redraw();
  }

  // stretch gives the body the height of all rows.
  #stretch() { this.body.style.height = `${this.list.length * this.view.row}px`; }

  // redraw draws what has changed in the same rows.
  #redraw() {
    this.drawn = -1;
    this.frame = null;
    this.#schedule();
  }

  refresh() { this.#redraw(); }

  #schedule() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.#draw();
    });
  }

  #fillPool() {
    const wanted = Math.ceil(this.view.height / this.view.row) + 2 * OVERSCAN;
    if (this.pool.length === wanted) return;
    while (this.pool.length > wanted) this.pool.pop().root.remove();
    while (this.pool.length < wanted) {
      const row = new Row(`row-${this.pool.length}`);
      row.root.hidden = true;
      this.pool.push(row);
      this.body.append(row.root);
    }
    for (const row of this.pool) row.index = -1; // each has another place now
  }

  #draw() {
    const size = this.pool.length;
    if (!this.history || size === 0) return;
    const first = Math.max(0, Math.min(Math.floor(this.grid.scrollTop / this.view.row) - OVERSCAN, this.list.length - size));
    if (first === this.drawn) return;
    const whole = this.drawn < 0; // the values are others, not only the place
    this.drawn = first;
    if (!this.frame) { // the rows may not have been there when it was measured
      const spark = this.pool[0].canvas.parentNode;
      if (this.view.spark[0] === 0 && !this.pool[0].root.hidden) this.view.spark = [spark.clientWidth, spark.clientHeight];
    }
    this.frame ??= new Frame(this.history, ...this.view.spark);
    const wide = this.view.spark[0] > 0;
    for (let index = first; index < first + size; index++) {
      const row = this.pool[index % size];
      const stat = this.list[index] ?? null;
      if (!whole && row.index === index && row.stat === stat) continue;
      this.#place(row, index, stat);
      if (stat && wide) this.frame.draw(row.canvas, stat);
    }
    if (!wide && this.list.length > 0) this.#redraw();
    this.#markActive();
  }

  #place(row, index, stat) {
    if (row.index !== index) {
      row.index = index;
      row.root.style.transform = `translateY(${index * this.view.row}px)`;
      row.root.setAttribute("aria-rowindex", String(index + 2));
    }
    if (row.root.hidden !== (stat === null)) row.root.hidden = stat === null;
    if (!stat) {
      row.stat = null;
      return;
    }
    if (row.stat !== stat) {
      row.stat = stat;
      say(row.prefix, stat.prefix);
      say(row.last, stat.last);
      say(row.kind, stat.kind);
      row.name.title = stat.full;
      row.pin.setAttribute("aria-label", `Pin ${stat.full}`);
    }
    say(row.which, stat.isDistribution ? stat.main : "");
    const value = numbers.inRow(stat.number, stat.text, stat.float);
    say(row.value, value);
    const title = value === stat.text ? "" : stat.text;
    if (row.valueCell.title !== title) row.valueCell.title = title;
    const reset = this.history.latest - stat.resetAt < RESET_SHOWN;
    say(row.rate, rateOf(stat, reset));
    const pinned = index < this.pinned;
    const classes = "row" + (stat.changed ? " changed" : "") + (stat.here ? "" : " gone") + (reset ? " reset" : "") +
      (pinned ? " pinned" : "") + (index === this.pinned - 1 && this.pinned < this.list.length ? " last-pinned" : "") +
      (stat === this.active ? " active" : "") + (stat === this.opened ? " opened" : "");
    if (row.classes !== classes) {
      row.classes = classes;
      row.root.className = classes;
      row.root.setAttribute("aria-selected", String(stat === this.opened));
      row.pin.setAttribute("aria-pressed", String(pinned));
    }
  }

  #markActive() {
    const row = this.pool.find((r) => r.stat && r.stat === this.active && !r.root.hidden);
    if (row) this.grid.setAttribute("aria-activedescendant", row.root.id);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  #click(event) {
    const row = this.pool.find((r) => r.root.contains(event.target));
    if (!row?.stat) return;
    if (event.target.closest(".pin")) {
      this.callbacks.onPin(row.stat);
      return;
    }
    if (String(getSelection()).length) return; // somebody copies a name
    this.activate(row.stat);
    this.callbacks.onOpen(row.stat);
  }

  // activate puts the keyboard at a stat.
  activate(stat) {
    this.active = stat;
    this.#redraw();
  }

  open(stat) {
    this.opened = stat;
    this.#redraw();
  }

  // move goes by some rows from where the keyboard is, and into view.
  move(by) {
    if (this.list.length === 0) return;
    const at = this.list.indexOf(this.active);
    const first = Math.floor(this.grid.scrollTop / this.view.row);
    const nowhere = by === -Infinity ? 0 : by === Infinity ? this.list.length - 1 : first;
    const to = at < 0 ? nowhere : Math.max(0, Math.min(at + by, this.list.length - 1));
    this.active = this.list[to];
    this.reveal(to);
    this.#redraw();
  }

  get page() { return Math.max(1, Math.floor((this.view.height - this.view.head) / this.view.row) - 1); }

  // reveal scrolls no further than it must.
  reveal(index) {
    const top = index * this.view.row;
    const room = this.view.height - this.view.head - this.view.row;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top > this.grid.scrollTop + room) this.grid.scrollTop = top - room;
  }

  revealStat(stat) {
    const index = this.list.indexOf(stat);
    if (index >= 0) this.reveal(index);
  }
}

// rateOf shows how a stat moves a second, as its column is sorted.
export function rateOf(stat, reset) {
  if (!stat.here) return "gone";
  if (reset) return "reset";
  switch (stat.kind) {
    case "counter":
    case "distribution":
      return numbers.rate(stat.rate);
    default:
      return numbers.change(stat.rate);
  }
}
