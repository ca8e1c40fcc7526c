// What the link keeps: everything behind the # of the address.

export const SORTS = ["name", "kind", "value", "rate"];
const EVERY = [1, 2, 5, 10];

// parse reads a view. What can't be understood is as if it weren't there.
export function parse(hash) {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const sort = parameters.get("sort") ?? "name";
  const every = Number(parameters.get("every"));
  return {
    search: parameters.get("q") ?? "",
    sort: SORTS.includes(sort.replace(/^-/, "")) ? sort.replace(/^-/, "") : "name",
    descending: sort.startsWith("-"),
    pins: new Set(parameters.getAll("pin")),
    open: parameters.get("open"), // the id of a stat
    values: parameters.get("show") === "values", // of a counter, not its rate
    sources: parameters.has("sources"),
    every: EVERY.includes(every) ? every : 1,
  };
}

// format is the opposite.
export function format(view) {
  const parameters = new URLSearchParams();
  if (view.search) parameters.set("q", view.search);
  if (view.sort !== "name" || view.descending) parameters.set("sort", (view.descending ? "-" : "") + view.sort);
  for (const pin of view.pins) parameters.append("pin", pin);
  if (view.open !== null) parameters.set("open", view.open);
  if (view.values) parameters.set("show", "values");
  if (view.sources) parameters.set("sources", "");
  if (view.every !== 1) parameters.set("every", view.every);
  return parameters.toString();
}

// order returns the stats that match, as they are to stand, the pinned first, and how
// many of those there are.
export function order(stats, view) {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const pinned = [];
  const rest = [];
  for (const stat of stats) {
    if (!words.every((word) => stat.haystack.includes(word))) continue;
    (view.pins.has(stat.id) ? pinned : rest).push(stat);
  }
  const compare = comparison(view);
  pinned.sort(compare);
  rest.sort(compare);
  return { list: pinned.concat(rest), pinned: pinned.length };
}

const byName = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

function comparison({ sort, descending }) {
  const sign = descending ? -1 : 1;
  switch (sort) {
    case "kind":
      return (a, b) => sign * a.kind.localeCompare(b.kind) || byName(a, b);
    case "value":
    case "rate": {
      const key = sort === "value" ? "number" : "rate";
      return (a, b) => { // what isn't a number, or has gone, comes last
        const x = a.here ? a[key] : NaN;
        const y = b.here ? b[key] : NaN;
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || byName(a, b);
        return sign * (x < y ? -1 : x > y ? 1 : 0) || byName(a, b);
      };
    }
    default:
      return (a, b) => sign * byName(a, b);
  }
}
