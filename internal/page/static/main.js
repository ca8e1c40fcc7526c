// The live page: what it shows, and what happens where somebody clicks or types.

import { curl, copy, emit, fileName, MOST, url } from "./actions.js";
import { nextTheme, startTheme } from "./colors.js";
import { Detail } from "./detail.js";
import { h, put } from "./dom.js";
import { History, SPAN } from "./history.js";
import { Live } from "./live.js";
import { inQuery, visible } from "./names.js";
import * as numbers from "./numbers.js";
import { leftOut, Sources, troubled } from "./sources.js";
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
  showEmpty();
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

let emptySaid = "";

function showEmpty() {
  const empty = $("empty");
  empty.hidden = shown.list.length > 0 || latest === null;
  if (empty.hidden) return;
  const others = leftOut(latest.left_out);
  const said = JSON.stringify([view.search, others, latest.pipe_dir]);
  if (said === emptySaid) return; // somebody may be copying from it
  emptySaid = said;
  const dir = h("b", {}, visible(latest.pipe_dir));
  const command = [h("p", { class: "muted" }, "A first stat, from a shell:"), h("pre", {}, visible(emit(latest.pipe_dir)))];
  if (view.search) {
    empty.replaceChildren(h("p", {}, "No stat matches ", h("b", {}, visible(view.search)), "."), h("p", { class: "muted" }, "Esc clears the search."));
  } else if (others) {
    empty.replaceChildren(h("p", {}, "No program that counts publishes in ", dir, " yet."), h("p", {}, `${others}.`));
  } else {
    empty.replaceChildren(h("p", {}, "No program publishes in ", dir, " yet."), ...command);
  }
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
  if (hash !== location.hash.replace(/^#/, "")) window.history.replaceState(window.history.state, "", hash ? "#" + hash : location.pathname + location.search);
}

// Where the panel covers the list, it has an entry of its own in the browser's
// history, if somebody opened it here: going back closes it.
const hasEntry = () => Boolean(window.history.state?.panel);
let inEntry = hasEntry();

function enter() {
  if (!narrow.matches || panel || inEntry) return;
  window.history.replaceState({ list: true }, "");
  window.history.pushState({ panel: true }, "");
  inEntry = true;
}

addEventListener("popstate", () => {
  const left = inEntry && Boolean(window.history.state?.list); // not for an address that somebody typed
  inEntry = hasEntry();
  if (!left) return;
  closePanel(true);
  keep(); // what else was done meanwhile stays
});

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
    { close: () => closePanel(true), pin, curl: copyCurl, show: showValues, paused: () => live.paused });
  panel.update();
  showPanel();
  live.hurry();
}

function toggle(stat) {
  if (panel && openStat() === stat) {
    closePanel(true);
    return;
  }
  enter();
  open(stat);
}

function toggleSources() {
  if (panel instanceof Sources) {
    closePanel(true);
    return;
  }
  enter();
  openSources();
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
  cover();
}

// cover keeps the keyboard out of what the panel covers.
function cover() {
  const covers = narrow.matches && panel !== null;
  if (covers && !$("panel").contains(document.activeElement)) $("panel").focus();
  for (const covered of document.querySelectorAll(".bar, .trouble-place, .list")) covered.inert = covers;
}

narrow.addEventListener("change", cover);

function closePanel(back) {
  panel?.close();
  panel = null;
  history.follow(null);
  table.open(null);
  $("panel").hidden = true;
  $("sources-button").setAttribute("aria-expanded", "false");
  document.body.classList.remove("with-panel");
  cover();
  if (!back) return;
  view.open = null;
  view.sources = false;
  if (inEntry) window.history.back();
  else keep();
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
  if (panel instanceof Detail) panel.update();
}

// wanted returns the stats that curl and the download are for: the one that is open,
// those that match the search, or null for all; and why it is all if that isn't what
// is shown.
function wanted() {
  if (openStat()) return { stats: [openStat()], why: "" };
  if (!view.search) return { stats: null, why: "" };
  if (shown.list.length <= MOST) return { stats: shown.list, why: "" };
  return { stats: null, why: `all ${numbers.count(history.stats.size, "stat")}: too many match for one address` };
}

const NOTHING = "No stat matches: there is nothing to get";

async function copyCurl(stat) {
  const { stats, why } = stat ? { stats: [stat], why: "" } : wanted();
  if (stats?.length === 0) {
    toast(NOTHING);
    return;
  }
  const command = curl(url(statsPath, stats));
  const copied = await copy(command);
  toast(copied ? `Copied: ${command}` : command, !copied, why && `Of ${why}. `);
}

function showDownload() {
  const { stats, why } = wanted();
  const link = $("download");
  const nothing = stats?.length === 0;
  if (nothing) link.removeAttribute("href");
  else link.href = url(statsPath, stats);
  link.setAttribute("aria-disabled", String(nothing));
  link.title = nothing ? NOTHING : `Download ${why || "as JSON"} (d)`;
  link.download = fileName(latest?.timestamp ?? 0);
}

function sayDownload() {
  const { stats, why } = wanted();
  if (stats?.length === 0) toast(NOTHING);
  else if (why) toast(`Downloaded ${why}`);
}

let toastTimer = 0;

// toast says something for a moment; what couldn't be copied is there to be selected
// for longer, without what is said before it.
function toast(text, toSelect = false, before = "") {
  $("toast").replaceChildren(h("span", { class: "before" }, before), text);
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
  "/": () => {
    if (narrow.matches && panel) closePanel(true);
    $("search").focus();
    $("search").select();
  },
  j: () => table.move(1),
  k: () => table.move(-1),
  ArrowDown: () => table.move(1),
  ArrowUp: () => table.move(-1),
  PageDown: () => table.move(table.page),
  PageUp: () => table.move(-table.page),
  Home: () => table.move(-Infinity),
  End: () => table.move(Infinity),
  Enter: () => table.active && toggle(table.active),
  p: (inPanel) => {
    const stat = inPanel ? openStat() : table.active ?? openStat();
    if (stat) pin(stat);
  },
  s: () => sortBy(SORTS[(SORTS.indexOf(view.sort) + 1) % SORTS.length], undefined),
  S: () => sortBy(view.sort, !view.descending),
  " ": pause,
  o: toggleSources,
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
  act(Boolean(inPanel));
});

$("search").addEventListener("input", (event) => search(event.target.value));
$("pause").addEventListener("click", pause);
$("retry").addEventListener("click", () => live.restart());
$("sources-button").addEventListener("click", toggleSources);
$("trouble").addEventListener("click", () => {
  openSources();
  $("panel").focus(); // the button is gone
});
$("curl").addEventListener("click", () => copyCurl());
$("download").addEventListener("click", sayDownload);
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
