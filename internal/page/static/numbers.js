// How numbers are read from the server's document, and shown.

// read returns what a number of the document is: as a number, as the exact text, and
// as an integer where a number would lose something. A float beyond 2^53 has an
// exponent in the text: all digits would say more than it does.
export function read(value) {
  if (typeof value === "number") {
    const exact = Math.abs(value) <= Number.MAX_SAFE_INTEGER;
    return { number: value, text: exact ? String(value) : value.toExponential(), big: null };
  }
  switch (value) {
    case "nan": return { number: NaN, text: "NaN", big: null };
    case "inf": return { number: Infinity, text: "∞", big: null };
    case "-inf": return { number: -Infinity, text: "−∞", big: null };
  }
  const big = BigInt(value);
  return { number: Number(big), text: String(value), big };
}

const exponent = (number, digits) => number.toExponential(digits).replace("e+", "e").replaceAll("-", "−");

const formats = new Map();

function fixed(number, digits) {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(number).replace("-", "−");
}

// value shows a value: integers whole, floats with about four digits, the same number
// of them behind the point as long as the magnitude stays, even where none is needed.
export function value(number, text, float = !Number.isInteger(number)) {
  if (!Number.isFinite(number)) return text ?? (Number.isNaN(number) ? "NaN" : number > 0 ? "∞" : "−∞");
  if (!float && /^-?\d{16,19}$/.test(text)) return fixed(BigInt(text), 0);
  const size = Math.abs(number);
  if (!float && Number.isInteger(number) && size <= Number.MAX_SAFE_INTEGER) return fixed(number, 0);
  if (size >= 1e12 || (size < 1e-4 && size > 0)) return exponent(number, 3);
  return fixed(number, size >= 10000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 || size === 0 ? 3 : 4);
}

// inRow shows a value where there is room for 13 digits: an end that is cut off would
// make it another number.
export function inRow(number, text, float) {
  return Number.isFinite(number) && Math.abs(number) >= 1e13 ? exponent(number, 3) : value(number, text, float);
}

// rate shows a number of something a second.
export function rate(number) {
  const size = Math.abs(number);
  if (!Number.isFinite(number)) return "–";
  if (number === 0) return "0/s";
  if (size >= 1e12 || size < 0.001) return exponent(number, 1) + "/s";
  return fixed(number, size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3) + "/s";
}

// change shows by how much something goes up or down a second.
export function change(number) {
  return (number > 0 && number !== Infinity ? "+" : "") + rate(number);
}

// short shows a number in as little space as an axis has.
export function short(number) {
  const size = Math.abs(number);
  if (size !== 0 && (size >= 1e15 || size < 1e-3)) return exponent(number, 1);
  for (const [unit, suffix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= unit) {
      const scale = unit === 1e4 ? 1e3 : unit;
      return String(Number((number / scale).toPrecision(4))).replace("-", "−") + suffix;
    }
  }
  return String(Number(number.toPrecision(5))).replace("-", "−");
}

// duration shows seconds.
export function duration(seconds) {
  if (seconds === undefined) return "–";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

// clock shows a Unix time.
export function clock(seconds) {
  return clockFormat.format(seconds * 1000);
}

// count shows "1 source" or "3 sources".
export function count(n, one, many = one + "s") {
  return `${fixed(n, 0)} ${n === 1 ? one : many}`;
}
