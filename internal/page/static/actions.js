// What leaves the page: a command, and a file.

import { asPattern } from "./names.js";

export const MOST = 50; // patterns in a URL

// url returns where /stats has these stats, MOST of them at the most: all if stats is
// null.
export function url(path, stats) {
  const base = new URL("." + path, document.baseURI.replace(/[?#].*$/, ""));
  const patterns = stats?.map((stat) => "match=" + asPattern(stat.name, stat.isDistribution)) ?? [];
  return base.href.replaceAll("'", "%27") + (patterns.length ? "?" + patterns.join("&") : "");
}

// emit returns the command that publishes a first stat where the server looks.
export function emit(dir) {
  const quoted = /^[\w@%+=:,./-]+$/.test(dir) ? dir : `'${dir.replaceAll("'", "'\\''")}'`;
  return `statvent emit -d ${quoted} hello.world`;
}

// curl returns the command that gets the same.
export function curl(address) {
  return `curl -s '${address}'`;
}

// copy tells whether the text is in the clipboard now.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Only pages of https and of this host have one.
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "probe";
  area.setAttribute("aria-hidden", "true");
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  let copied = false;
  try {
    copied = document.execCommand("copy");
  } catch {
    // It is shown instead.
  }
  area.remove();
  focused?.focus();
  return copied;
}

// fileName is that of the download.
export function fileName(time) {
  const stamp = new Date(time * 1000).toISOString().slice(0, 19).replaceAll(":", "");
  return `statvent-${location.hostname.replace(/[^A-Za-z0-9.-]/g, "_")}-${stamp}Z.json`;
}
