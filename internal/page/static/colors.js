// The colours of the style sheet, for what is drawn.

const names = ["muted", "faint", "line", "accent", "reset",
  "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
let cache = null;

// colors returns the colours of the scheme that is in force, by name.
export function colors() {
  if (cache) return cache;
  // What a variable is in the end, only a property tells that uses it.
  const probe = document.createElement("i");
  probe.className = "probe";
  document.body.append(probe);
  cache = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    cache[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  cache.series = names.slice(-8).map((name) => cache[name]);
  return cache;
}

// faded returns the colour with that opacity.
export function faded(color, opacity) {
  const [r, g, b] = color.match(/[\d.]+/g);
  return `rgba(${r}, ${g}, ${b}, ${opacity})`;
}

const key = "statvent.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
let changed = () => {};

function stored() {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return ""; // the browser lets nobody store anything
  }
}

function apply(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  cache = null;
}

// startTheme applies the theme that was chosen last, and tells when the colours
// change.
export function startTheme(onChange) {
  apply(stored());
  changed = onChange;
  dark.addEventListener("change", () => { cache = null; changed(); });
}

// nextTheme goes from that of the system to the other, and back through its own.
export function nextTheme() {
  const order = dark.matches ? ["", "light", "dark"] : ["", "dark", "light"];
  const theme = order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % 3];
  apply(theme);
  try {
    localStorage.setItem(key, theme);
  } catch {
    // It holds until the page is left.
  }
  changed();
  return theme;
}
