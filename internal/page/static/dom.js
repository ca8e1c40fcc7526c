// Making elements. Text is only ever text here.

// h makes an element: h("p", { class: "x", title: "y" }, "text", element, ...).
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// put makes text the content of an element, if it isn't already.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// icon draws one of a few lines.
export function icon(path) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(ns, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const icons = {
  close: "M4 4l8 8M12 4l-8 8",
  pin: "M8 10v4.500M4.500 10h7L10 7.500V2.500H6v5z",
  curl: "M3 4l4 4-4 4M8.500 12.500H13",
};
