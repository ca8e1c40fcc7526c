// The live page: what it shows, and what happens where somebody clicks or types.

import { curl, copy, fileName, url } from "./actions.js";
import { nextTheme, startTheme } from "./colors.js";
import { Detail } from "./detail.js";
import { h, put } from "./dom.js";
import { History, SPAN } from "./history.js";
import { Live } from "./live.js";
import { inQuery, visible } from "./names.js";
import * as numbers from "./numbers.js";
import { Sources, troubled } from "./sources.js";
import { Table } from "./table.js";
import { format, order, parse, SORTS } from "./view.js";

const RESORT = 3; // collections; rows that jump every second can't be read
const $ = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 1099px)"); // the panel covers the list

const history = new History();
let view = parse(location.hash);
let latest = null; // document
let panel = null; // a Detail or Sources
let shown = { list: [], pinned: 0 };
let collections = 0;
let statsPath = "/stats";

const table = new Table($("grid"), $("rows"), { onOpen: toggle, onPin: pin });
const live = new Live({
  query: () => (openStat() ? ["stat=" + inQuery(openStat().name)] : []),
  onDocument: take,
  onState: showState,
});

// What comes from the server.

function take(document, missed) {
  const first = latest === null;
  if (missed && !first) history.gap();
  const others = history.add(document);
  latest = document;
  statsPath = document.stats_path;
  collections++;
  const moving = view.sort === "value" || view.sort === "rate";
  // What is open may only be there now, or be of another kind than before.
  const stat = openStat();
  if (first || (stat && (!panel || panel.stat !== stat))) openFromView();
  if (first || others || (moving && (collections <= 2 || collections % RESORT === 0))) arrange();
  else table.refresh();
  panel?.update(panel instanceof Sources ? latest : undefined);
  showSources();
  showDownload();
}

function arrange() {
  shown = order(history.stats.values(), view);
  table.show(shown.list, shown.pinned, history);
  const all = history.stats.size;
  put($("count"), view.search ? `${numbers.value(shown.list.length)} of ${numbers.count(all, "stat")}` : numbers.count(all, "stat"));
  showEmpty();
  showHead();
  showDownload();
}

function showEmpty() {
  const empty = $("empty");
  empty.hidden = shown.list.length > 0 || latest === null;
  if (empty.hidden) return;
  const children = view.search
    ? [h("p", {}, "No stat matches ", h("b", {}, visible(view.search)), "."), h("p", { class: "muted" }, "Esc clears the search.")]
    : [h("p", {}, "No program publishes in ", h("b", {}, visible(latest.pipe_dir)), " yet."),
      h("p", { class: "muted" }, "A first stat, from a shell:"), h("pre", {}, "statvent emit hello.world")];
  empty.replaceChildren(...children);
}

function showHead() {
  for (const cell of document.querySelectorAll("[data-sort]")) {
    const on = cell.dataset.sort === view.sort;
    cell.setAttribute("aria-sort", on ? (view.descending ? "descending" : "ascending") : "none");
  }
}

function showSources() {
  const errors = troubled(latest.sources);
  const button = $("sources-button");
  put($("sources-text"), numbers.count(latest.sources.length, "source") + (errors.length ? `, ${numbers.count(errors.length, "error")}` : ""));
  button.classList.toggle("bad", errors.length > 0);
  const trouble = $("trouble");
  if (errors.length && !view.sources) {
    const [{ name, error }] = errors;
    put(trouble, errors.length === 1 ? `Source ${visible(name)}: ${visible(error)}` : `${errors.length} sources don't answer as they should; ${visible(name)}: ${visible(error)}`);
  }
  trouble.hidden = errors.length === 0 || view.sources;
}

let ticker = 0;

function showState(state) {
  clearInterval(ticker);
  document.body.dataset.state = state.name;
  $("retry").hidden = state.name !== "lost";
  const paused = live.paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  put($("pause").querySelector(".word"), paused ? "Resume" : "Pause");
  const mark = { lost: "⚠ ", late: "⚠ ", paused: "⏸ " }[state.name] ?? "";
  document.title = `${mark}${location.host} · statvent`;
  switch (state.name) {
    case "live":
      put($("state-text"), "live");
      break;
    case "paused":
      put($("state-text"), latest ? `paused at ${numbers.clock(latest.timestamp)}` : "paused");
      break;
    case "late":
      put($("state-text"), `no answer since ${numbers.clock(state.since / 1000)}`);
      break;
    case "lost":
      put($("state-text"), `the server is gone since ${numbers.clock(state.since / 1000)}: ${visible(state.message)}`);
      $("state").title = `The server is gone since ${numbers.clock(state.since / 1000)}: ${state.message}`;
      countDown(state.retryAt);
      break;
  }
  if (state.name !== "lost") $("state").title = "";
}

// countDown says on the button when the page tries again by itself.
function countDown(until) {
  const say = () => put($("retry"), `Try now (${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s)`);
  say();
  ticker = setInterval(say, 1000);
}

// What the link keeps.

function keep() {
  const hash = format(view);
  if (hash !== location.hash.replace(/^#/, "")) window.history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
}

function openStat() {
  return view.open === null ? null : history.stats.get(view.open) ?? null;
}

function openFromView() {
  const stat = openStat();
  if (stat) {
    table.activate(stat);
    open(stat);
    requestAnimationFrame(() => table.revealStat(stat));
  } else if (view.sources) openSources();
}

addEventListener("hashchange", () => {
  if (format(parse(location.hash)) === format(view)) return;
  view = parse(location.hash);
  closePanel(false);
  applyView();
  openFromView();
});

function applyView() {
  $("search").value = view.search;
  $("every").value = String(view.every);
  live.every = view.every;
  arrange();
}

// What somebody does.

function open(stat) {
  closePanel(false);
  view.open = stat.id;
  view.sources = false;
  keep();
  history.follow(stat);
  table.open(stat);
  $("panel").hidden = false;
  panel = new Detail($("panel"), stat, history, { pinned: view.pins.has(stat.id), values: view.values },
    { close: () => closePanel(true), pin, curl: copyCurl, show: showValues });
  panel.update();
  showPanel();
  live.hurry();
}

function toggle(stat) {
  if (panel && openStat() === stat) closePanel(true);
  else open(stat);
}

function openSources() {
  if (!latest) return;
  closePanel(false);
  view.open = null;
  view.sources = true;
  keep();
  $("panel").hidden = false;
  panel = new Sources($("panel"), () => closePanel(true));
  panel.update(latest);
  $("sources-button").setAttribute("aria-expanded", "true");
  showPanel();
  showSources();
}

function showPanel() {
  document.body.classList.add("with-panel");
  if (narrow.matches) $("panel").focus();
}

function closePanel(back) {
  panel?.close();
  panel = null;
  history.follow(null);
  table.open(null);
  $("panel").hidden = true;
  $("sources-button").setAttribute("aria-expanded", "false");
  document.body.classList.remove("with-panel");
  if (!back) return;
  view.open = null;
  view.sources = false;
  keep();
  if (latest) showSources();
  $("grid").focus({ preventScroll: true });
}

function pin(stat) {
  if (!view.pins.delete(stat.id)) view.pins.add(stat.id);
  keep();
  arrange();
  if (panel instanceof Detail && panel.stat === stat) panel.pinned(view.pins.has(stat.id));
}

function sortBy(column, descending) {
  const natural = column === "value" || column === "rate"; // the largest first
  view.descending = descending ?? (view.sort === column ? !view.descending : natural);
  view.sort = column;
  keep();
  arrange();
}

function search(text) {
  view.search = text;
  keep();
  $("grid").scrollTop = 0;
  arrange();
}

function pause() {
  if (live.paused) live.broken = true;
  live.pause(!live.paused);
}

// wanted are the stats that curl and the download are for: the one that is open,
// those that match the search, or null for all.
function wanted() {
  return openStat() ? [openStat()] : view.search ? shown.list : null;
}

async function copyCurl(stat) {
  const command = curl(url(statsPath, stat ? [stat] : wanted()));
  const copied = await copy(command);
  toast(copied ? `Copied: ${command}` : command, !copied);
}

function showDownload() {
  $("download").href = url(statsPath, wanted());
  $("download").download = fileName(latest?.timestamp ?? 0);
}

let toastTimer = 0;

// toast says something for a moment; what couldn't be copied is there to be selected
// for longer.
function toast(text, toSelect = false) {
  put($("toast"), text);
  $("toast").classList.toggle("to-select", toSelect);
  $("toast").classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("shown"), toSelect ? 20000 : 4000);
}

function theme() {
  toast({ "": "Theme: as the system has it", light: "Theme: light", dark: "Theme: dark" }[nextTheme()]);
}

function showValues(values) {
  view.values = values;
  keep();
  rebuild();
}

// rebuild makes the open stat's panel anew, with all that is known of the stat, and
// leaves the keyboard where it was.
function rebuild() {
  if (!(panel instanceof Detail)) return;
  const { stat, actions } = panel;
  const buttons = () => [...$("panel").querySelectorAll("button")];
  const focused = buttons().indexOf(document.activeElement);
  const top = panel.scrolled;
  panel.close();
  panel = new Detail($("panel"), stat, history, { pinned: view.pins.has(stat.id), values: view.values }, actions);
  panel.update();
  panel.scrolled = top;
  buttons()[focused]?.focus({ preventScroll: true });
}

function repaint() {
  table.refresh();
  rebuild(); // its charts have the colours that they were made with
}

const keys = {
  "/": () => { $("search").focus(); $("search").select(); },
  j: () => table.move(1),
  k: () => table.move(-1),
  ArrowDown: () => table.move(1),
  ArrowUp: () => table.move(-1),
  PageDown: () => table.move(table.page),
  PageUp: () => table.move(-table.page),
  Home: () => table.move(-Infinity),
  End: () => table.move(Infinity),
  Enter: () => table.active && toggle(table.active),
  p: () => (table.active ?? openStat()) && pin(table.active ?? openStat()),
  s: () => sortBy(SORTS[(SORTS.indexOf(view.sort) + 1) % SORTS.length], undefined),
  S: () => sortBy(view.sort, !view.descending),
  " ": pause,
  o: () => (panel instanceof Sources ? closePanel(true) : openSources()),
  c: () => copyCurl(),
  d: () => $("download").click(),
  t: theme,
  "?": () => $("help").showModal(),
  Escape: () => (panel ? closePanel(true) : view.search && clearSearch()),
};

function clearSearch() {
  $("search").value = "";
  search("");
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("help").open) return;
  const { target, key } = event;
  if (target === $("search")) {
    if (key === "Escape" && target.value) clearSearch();
    else if (key === "Escape" || key === "Enter" || key === "ArrowDown") {
      $("grid").focus({ preventScroll: true });
      if (!shown.list.includes(table.active)) table.active = null;
      if (key !== "Escape" && !table.active) table.move(0);
    } else return;
    event.preventDefault();
    return;
  }
  if (target.closest?.("select, input, textarea")) return;
  if ((key === "Enter" || key === " ") && target.closest?.("button, a")) return;
  const inPanel = target.closest?.("#panel");
  if (inPanel && /^(Arrow|Page|Home|End)/.test(key)) return; // it scrolls
  const act = Object.hasOwn(keys, key) ? keys[key] : null;
  if (!act) return;
  event.preventDefault();
  act();
});

$("search").addEventListener("input", (event) => search(event.target.value));
$("pause").addEventListener("click", pause);
$("retry").addEventListener("click", () => live.restart());
$("sources-button").addEventListener("click", keys.o);
$("trouble").addEventListener("click", openSources);
$("curl").addEventListener("click", () => copyCurl());
$("theme").addEventListener("click", theme);
$("help-button").addEventListener("click", keys["?"]);
$("every").addEventListener("change", (event) => {
  view.every = Number(event.target.value);
  live.every = view.every;
  keep();
  live.hurry();
});
for (const cell of document.querySelectorAll("[data-sort]")) {
  cell.querySelector("button").addEventListener("click", () => sortBy(cell.dataset.sort));
}

put($("host"), location.host);
put($("span-text"), `Last ${SPAN / 60} minutes`);
startTheme(repaint);
applyView();
table.measure();
live.restart();
