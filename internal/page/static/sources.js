// What the panel shows of the sources: who publishes, how they fare, and what is
// wrong.

import { h, icon, icons, put } from "./dom.js";
import { visible } from "./names.js";
import * as numbers from "./numbers.js";

// troubled are the sources that something is wrong with; processes end.
export const troubled = (sources) => sources.filter((s) => s.error && s.state !== "stale");

// leftOut says how many sources of whom don't count, because others were named whose
// sources do; empty if none is.
export function leftOut(users) {
  const most = 3;
  const ordered = [...users].sort((a, b) => b.sources - a.sources);
  const all = ordered.reduce((sum, { sources }) => sum + sources, 0);
  if (all === 0) return "";
  const said = ordered.slice(0, most).map(({ user, sources }, i) => `${i === 0 ? numbers.count(sources, "source") : sources} of ${visible(user)}`);
  const more = ordered.slice(most);
  if (more.length > 0) said.push(`${more.reduce((sum, { sources }) => sum + sources, 0)} of ${numbers.count(more.length, "other")}`);
  const last = said.pop();
  return `${said.length > 0 ? said.join(", ") + " and " : ""}${last} ${all === 1 ? "is" : "are"} left out: --owner`;
}

export class Sources {
  constructor(root, close) {
    this.root = root;
    this.where = h("p", { class: "note" });
    this.left = h("p", { class: "note left-out" });
    this.list = h("ul", { class: "sources" });
    this.more = h("div");
    this.items = new Map();
    root.setAttribute("aria-label", "Sources");
    root.replaceChildren(
      h("div", { class: "panel-head" }, h("h2", {}, "Sources"),
        h("div", { class: "panel-controls" }, h("button", { type: "button", class: "close", title: "Close (Esc)", "aria-label": "Close", onclick: close }, icon(icons.close)))),
      h("div", { class: "panel-body" }, this.where, this.left, this.list, this.more));
  }

  update(document) {
    put(this.where, `${numbers.count(document.sources.length, "source")} in ${visible(document.pipe_dir)}`);
    put(this.left, leftOut(document.left_out));
    const ordered = [...document.sources].sort((a, b) => Boolean(b.error) - Boolean(a.error) || (a.kind === "retained") - (b.kind === "retained"));
    const present = new Set();
    ordered.forEach((source, position) => {
      let key = `${source.kind} ${source.name} ${source.id ?? ""}`;
      while (present.has(key)) key += "+";
      present.add(key);
      let item = this.items.get(key);
      if (!item) {
        item = new Item();
        this.items.set(key, item);
      }
      if (this.list.children[position] !== item.root) this.list.insertBefore(item.root, this.list.children[position] ?? null);
      item.update(source);
    });
    for (const [key, item] of this.items) {
      if (present.has(key)) continue;
      item.root.remove();
      this.items.delete(key);
    }
    this.#updateMore(document);
  }

  #updateMore({ passed_over: passedOver, more_passed_over: more, conflicts }) {
    const said = JSON.stringify([passedOver, more, conflicts]);
    if (said === this.said) return;
    this.said = said;
    const section = (title, items) => (items.length === 0 ? null : h("section", {}, h("h3", {}, title), h("ul", { class: "plain" }, ...items)));
    const line = (name, what) => h("li", {}, h("bdi", { class: "source" }, visible(name)), " ", h("span", { class: "muted" }, what));
    this.more.replaceChildren(...[
      section("Of several kinds", conflicts.map((c) => line(c.name, `is ${c.kinds.join(" here and ")} there`))),
      section("Passed over", [
        ...passedOver.map((p) => line(p.name, visible(p.why))),
        ...(more ? [h("li", { class: "muted" }, `and ${numbers.count(more, "other")}`)] : []),
      ]),
    ].filter(Boolean));
  }

  close() { this.root.replaceChildren(); }
}

class Item {
  constructor() {
    this.name = h("bdi", { class: "source" });
    this.state = h("span", { class: "source-state" });
    this.command = h("bdi", { class: "command" });
    this.facts = h("p", { class: "source-facts" });
    this.error = h("p", { class: "source-error" });
    this.dot = h("i", { class: "dot", "aria-hidden": "true" });
    this.root = h("li", {}, h("p", { class: "source-head" }, this.dot, this.name, this.command, this.state), this.facts, this.error);
  }

  update(source) {
    put(this.name, visible(source.name));
    put(this.state, source.state);
    put(this.command, source.command ? visible(source.command) : "");
    const facts = [source.user && visible(source.user), numbers.count(source.stats, "stat")];
    if (source.kind === "plain") facts.push("plain");
    if (source.age_seconds !== undefined) facts.push(`up ${numbers.duration(source.age_seconds)}`);
    if (source.emitted) facts.push(`${numbers.count(source.emitted.stats, "stat")} of scripts, the newest ${numbers.duration(source.emitted.newest_age_seconds)} old`);
    if (source.skipped_lines) facts.push(`${numbers.count(source.skipped_lines, "line")} skipped`);
    if (source.error && source.values_age_seconds !== undefined) facts.push(`values of ${numbers.duration(source.values_age_seconds)} ago`);
    put(this.facts, facts.filter(Boolean).join(" · "));
    put(this.error, source.error ? visible(source.error) : "");
    this.root.className = `state-${source.state}`;
  }
}
