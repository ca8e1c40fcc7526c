// The names of stats. They are bytes that any process may choose: they become text
// in the page and nothing else, and what can't be seen in them is shown escaped.

// In JSON, a byte that is no UTF-8 is \xHH, and so is a backslash before xHH.
const byteEscape = /\\x([0-9a-fA-F]{2})/g;

// Controls, what changes the direction of text, what has no width, and what
// has no meaning yet.
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu;

// visible returns text in which everything can be seen.
export function visible(text) {
  return text.replace(unseen, (c) => {
    const code = c.codePointAt(0);
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

const labelPlace = "{0}";

// present returns how a name is shown: what comes before the last dot, and the rest.
// The place of the label of a distribution is left out at the end.
export function present(name, isDistribution) {
  let text = name;
  if (isDistribution && text.endsWith("." + labelPlace)) text = text.slice(0, -labelPlace.length - 1);
  if (isDistribution) text = text.replaceAll(labelPlace, "{…}");
  text = visible(text);
  const plain = text.search(/[{"'\s([<]/); // dots behind these are no part of a path
  const dot = text.lastIndexOf(".", plain < 0 ? undefined : plain);
  if (dot <= 0 || dot === text.length - 1) return { prefix: "", last: text };
  return { prefix: text.slice(0, dot + 1), last: text.slice(dot + 1) };
}

// bytesOf undoes the escaping of JSON.
function bytesOf(name) {
  const bytes = [];
  const encoder = new TextEncoder();
  let from = 0;
  for (const match of name.matchAll(byteEscape)) {
    bytes.push(...encoder.encode(name.slice(from, match.index)), parseInt(match[1], 16));
    from = match.index + match[0].length;
  }
  bytes.push(...encoder.encode(name.slice(from)));
  return bytes;
}

const percent = (byte) => "%" + byte.toString(16).toUpperCase().padStart(2, "0");
const harmless = /[A-Za-z0-9._~:@-]/;

function quoteBytes(bytes, special) {
  let quoted = "";
  for (const byte of bytes) {
    const c = String.fromCharCode(byte);
    if (special.includes(c)) quoted += "%5C"; // a backslash takes its meaning in a pattern
    quoted += harmless.test(c) ? c : percent(byte);
  }
  return quoted;
}

// inQuery returns the name as the value of a parameter in a URL.
export function inQuery(name) {
  return quoteBytes(bytesOf(name), "");
}

// asPattern returns the pattern that the stat's names match in /stats, as the value
// of a parameter: those of all labels of a distribution.
export function asPattern(name, isDistribution) {
  const special = "*?[]\\";
  if (!isDistribution) return quoteBytes(bytesOf(name), special);
  const template = name.includes(labelPlace) ? name : `${name}.${labelPlace}`;
  return template.split(labelPlace).map((part) => quoteBytes(bytesOf(part), special)).join("*");
}
