// Dominoes as pictures, and as words for those who hear them.

import { s } from "./dom.js";

const PIPS = [
  [],
  [[0, 0]],
  [[-1, -1], [1, 1]],
  [[-1, -1], [0, 0], [1, 1]],
  [[-1, -1], [1, -1], [-1, 1], [1, 1]],
  [[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]],
  [[-1, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [1, 1]],
];
// Drawn, not written: a picture has no text that would be read twice.
const DIGITS = {
  5: "M2.4 -4.2H-1.9L-2.3 0.2C-1.2 -1 2.7 -1.2 2.7 1.7 2.7 4.6 -1.2 5 -2.7 3.2",
  10: "M-4.6 -2.6L-2.8 -4.2V4.4M2.6 -4.2C0.2 -4.2 0.2 4.4 2.6 4.4 5 4.4 5 -4.2 2.6 -4.2",
};
const SIDE = 50;
const STEP = 13.5;

/** Points that a domino is worth besides its trick: 10, 5 or 0. */
export function count(name) {
  const pips = Number(name[0]) + Number(name[1]);
  return pips === 10 ? 10 : pips === 5 ? 5 : 0;
}

/** "6-4, worth 10". */
export function words(name) {
  const worth = count(name);
  const double = name[0] === name[1] ? "double " : "";
  const ends = double ? `double ${name[0]}` : `${name[0]}-${name[1]}`;
  return worth ? `${ends}, worth ${worth}` : ends;
}

/** "6-4". */
export const short = (name) => `${name[0]}-${name[1]}`;

/** A domino standing upright, its higher end on top; `back` shows none of it. */
export function tile(name, { lying = false, back = false } = {}) {
  const long = 2 * SIDE + 4;
  const wide = SIDE + 4;
  const box = lying ? `0 0 ${long} ${wide}` : `0 0 ${wide} ${long}`;
  const all = s("svg", { viewBox: box, class: `tile${back ? " back" : ""}${lying ? " lying" : ""}`, "aria-hidden": "true", focusable: "false" });
  const group = s("g", lying ? { transform: `translate(0 ${wide}) rotate(-90)` } : {});
  group.append(s("rect", { x: 2, y: 2, width: SIDE, height: long - 4, rx: 8, class: "face" }));
  if (!back) {
    const middle = long / 2;
    group.append(s("line", { x1: 9, x2: wide - 9, y1: middle, y2: middle, class: "bar" }));
    half(group, Number(name[0]), wide / 2, middle - SIDE / 2 + 0.5);
    half(group, Number(name[1]), wide / 2, middle + SIDE / 2 - 0.5);
    const worth = count(name);
    if (worth) {
      group.append(s("circle", { cx: wide / 2, cy: middle, r: 8.5, class: "worth" }));
      const turn = lying ? " rotate(90)" : "";
      group.append(s("path", { d: DIGITS[worth], class: "digits", transform: `translate(${wide / 2} ${middle})${turn}` }));
    } else {
      group.append(s("circle", { cx: wide / 2, cy: middle, r: 2.2, class: "rivet" }));
    }
  }
  all.append(group);
  return all;
}

function half(group, pips, x, y) {
  for (const [dx, dy] of PIPS[pips]) {
    group.append(s("circle", { cx: x + STEP * dx, cy: y + STEP * dy, r: 4.6, class: "pip" }));
  }
}
