// Elements made in place of markup in strings: nothing that was typed somewhere becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes by name, `on…` listeners, and children (text, nodes, or null). */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in a picture. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The element with this id. */
export const the = (id) => document.getElementById(id);

/** Have an element hold these and nothing else. */
export function hold(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** Say what is wrong; "": nothing is. What stands there already is not put there again, and not read out. */
export function trouble(sentence) {
  const place = the("trouble");
  if (place.textContent !== sentence) place.textContent = sentence;
  place.hidden = sentence === "";
}

/** What this browser remembers of how its person likes things. */
export const prefs = {
  get(name, other) {
    try {
      return localStorage.getItem(`zebfast.${name}`) ?? other;
    } catch {
      return other;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`zebfast.${name}`, value);
    } catch { /* then it is forgotten with the page */ }
  },
};

/** Light or dark as the person wants it; "auto" is as the machine has it. */
export function showTheme() {
  const theme = prefs.get("theme", "auto");
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

showTheme();
