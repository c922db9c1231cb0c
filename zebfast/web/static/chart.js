// Curves as a picture that is whole by itself: what is drawn here can be saved as it is.

import { h, s } from "./dom.js";
import { figure, short } from "./figures.js";

const WIDTH = 460;
const HEIGHT = 250;
const LEFT = 52;
const RIGHT = 12;
const BOTTOM = 34;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 4"];
const FEW = 40; // shorter curves show their points
const FONT = "system-ui, sans-serif";

/** The colours of the page as they are now, since a saved picture has no style sheet. */
export function colors() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { lines: [1, 2, 3, 4, 5, 6].map((n) => of(`s${n}`)), text: of("text"), soft: of("soft"), grid: of("line"), ground: of("panel") };
}

function ticks(low, high, most) {
  const rough = (high - low) / most;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const found = [];
  // Counted, since of numbers that are large enough the next step is the same number.
  for (let n = 0; n <= most; n += 1) {
    const at = (first + n) * step;
    if (at <= high + step * 1e-9) found.push(Math.abs(at) < step * 1e-6 ? 0 : at);
  }
  return found;
}

function range(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return null;
  if (low === high) return [low - (Math.abs(low) || 1) * 0.05, high + (Math.abs(high) || 1) * 0.05];
  return [low, high];
}

/**
 * A picture of lines. Each has `legend`, `color` and `dash` (numbers), and points as arrays `x`, `y`,
 * `low`, `high` (null where there is no band). `level` is a line across, `marks` are [x, name].
 */
export function picture({ title, xLabel, lines, level, marks }) {
  const tint = colors();
  const xs = range(lines.flatMap((line) => [line.x[0], line.x.at(-1)]));
  const all = [];
  for (const line of lines) for (const values of [line.y, line.low, line.high]) if (values !== null) for (const value of values) all.push(value);
  if (level !== null) all.push(level);
  const ys = range(all);
  const legend = legendRows(lines);
  const top = 10 + 15 * legend.rows;
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words(title, xLabel, lines), "font-family": FONT, "font-size": 11 });
  if (xs === null || ys === null) {
    svg.append(s("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle", fill: tint.soft }, "no data yet"));
    return svg;
  }
  const pad = (ys[1] - ys[0]) * 0.04;
  const x = (value) => LEFT + ((value - xs[0]) / (xs[1] - xs[0])) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - ys[0] + pad) / (ys[1] - ys[0] + 2 * pad)) * (HEIGHT - BOTTOM - top);
  for (const at of ticks(ys[0], ys[1], 5)) {
    svg.append(s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(at), y2: y(at), stroke: tint.grid, "stroke-width": 1 }),
      s("text", { x: LEFT - 6, y: y(at) + 4, "text-anchor": "end", fill: tint.soft }, short(at)));
  }
  for (const at of ticks(xs[0], xs[1], 6)) {
    svg.append(s("text", { x: x(at), y: HEIGHT - BOTTOM + 15, "text-anchor": "middle", fill: tint.soft }, short(at)));
  }
  svg.append(s("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle", fill: tint.soft }, xLabel));
  const late = (place) => place > WIDTH - 60; // where a name would not fit behind its line
  for (const [at, name] of marks) {
    if (at < xs[0] || at > xs[1]) continue;
    svg.append(s("line", { x1: x(at), x2: x(at), y1: top, y2: HEIGHT - BOTTOM, stroke: tint.soft, "stroke-dasharray": "1 3" }),
      s("text", { x: x(at) + (late(x(at)) ? -3 : 3), y: HEIGHT - BOTTOM - 4, "text-anchor": late(x(at)) ? "end" : "start", fill: tint.soft, "font-size": 9 }, name));
  }
  if (level !== null) svg.append(s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(level), y2: y(level), stroke: tint.soft, "stroke-dasharray": "5 4" }));
  for (const line of lines) {
    const stroke = tint.lines[line.color % tint.lines.length];
    if (line.low !== null && line.x.length > 1) svg.append(s("path", { d: band(line, x, y), fill: stroke, "fill-opacity": 0.18 }));
    svg.append(s("path", { d: path(line.x, line.y, x, y), fill: "none", stroke, "stroke-width": 1.6, "stroke-dasharray": DASHES[line.dash % DASHES.length], "stroke-linejoin": "round" }));
    if (line.x.length < FEW) svg.append(line.x.map((at, i) => s("circle", { cx: x(at).toFixed(1), cy: y(line.y[i]).toFixed(1), r: 2.2, fill: stroke })).reduce((group, dot) => (group.append(dot), group), s("g")));
  }
  for (const { line, left, row } of legend.places) {
    const stroke = tint.lines[line.color % tint.lines.length];
    svg.append(s("line", { x1: left, x2: left + 22, y1: 10 + 15 * row, y2: 10 + 15 * row, stroke, "stroke-width": 2, "stroke-dasharray": DASHES[line.dash % DASHES.length] }),
      s("text", { x: left + 27, y: 14 + 15 * row, fill: tint.text }, line.legend));
  }
  return svg;
}

function legendRows(lines) {
  let left = LEFT;
  let row = 0;
  const places = lines.map((line) => {
    const wide = 40 + 6 * line.legend.length;
    if (left > LEFT && left + wide > WIDTH - RIGHT) {
      left = LEFT;
      row += 1;
    }
    const place = { line, left, row };
    left += wide;
    return place;
  });
  return { places, rows: row + 1 };
}

const path = (xs, ys, x, y) => xs.map((at, i) => `${i ? "L" : "M"}${x(at).toFixed(1)} ${y(ys[i]).toFixed(1)}`).join("");

function band(line, x, y) {
  const there = line.x.map((at, i) => `${x(at).toFixed(1)} ${y(line.high[i]).toFixed(1)}`);
  const back = line.x.map((at, i) => `${x(at).toFixed(1)} ${y(line.low[i]).toFixed(1)}`).reverse();
  return `M${there.join("L")}L${back.join("L")}Z`;
}

function words(title, xLabel, lines) {
  const said = lines.map((line) => `${line.legend} ${figure(line.y.at(-1))}`);
  const at = lines.length ? ` at ${xLabel} ${figure(Math.max(...lines.map((line) => line.x.at(-1))))}` : "";
  return `${title}: ${said.length ? said.join(", ") + at : "no data yet"}`;
}

/** The same points as a table; of many those that are evenly spread. */
export function table({ xLabel, lines }, most = 24) {
  const xs = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const step = Math.max(1, (xs.length - 1) / (most - 1));
  const chosen = new Set();
  for (let at = 0; at < xs.length; at += step) chosen.add(xs[Math.round(at)]);
  if (xs.length) chosen.add(xs.at(-1));
  const values = lines.map((line) => new Map(line.x.map((at, i) => [at, line.y[i]])));
  return h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, xLabel), lines.map((line) => h("th", { scope: "col", class: "number" }, line.legend)))),
    h("tbody", {}, [...chosen].map((at) => h("tr", {}, h("th", { scope: "row" }, figure(at)), values.map((of) => h("td", { class: "number" }, figure(of.get(at) ?? null)))))));
}

/** Save a picture as PNG, twice as large as it is drawn. */
export async function savePng(svg, name) {
  const whole = svg.cloneNode(true);
  whole.setAttribute("width", 2 * WIDTH);
  whole.setAttribute("height", 2 * HEIGHT);
  whole.prepend(s("rect", { width: WIDTH, height: HEIGHT, fill: colors().ground }));
  const source = new Blob([new XMLSerializer().serializeToString(whole)], { type: "image/svg+xml" });
  const address = URL.createObjectURL(source);
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = h("canvas", { width: 2 * WIDTH, height: 2 * HEIGHT });
    canvas.getContext("2d").drawImage(image, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    const link = h("a", { href: URL.createObjectURL(blob), download: `${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    return blob.size;
  } finally {
    URL.revokeObjectURL(address);
  }
}
