// All experiments, a line each; some can be chosen to be seen beside each other.

import { follow, NO_NEWS } from "./api.js";
import { h, hold, the, trouble } from "./dom.js";
import { tile } from "./domino.js";
import { age, ago, dollars, figure } from "./figures.js";

const chosen = new Set();
let most = 0; // beside each other

the("home").append(tile("42"));

function choose(name, wanted) {
  if (wanted) chosen.add(name);
  else chosen.delete(name);
  the("beside").disabled = chosen.size < 2 || chosen.size > most;
}

function line(each) {
  const known = each.created !== undefined;
  const progress = known && each.share !== null ? `${Math.floor(100 * each.share)} %${each.seconds_left ? `, ${age(each.seconds_left)} left` : ""}` : "";
  const wrong = each.trouble || (known ? each.wrong.join(", ") : "");
  const cells = known ? [each.stage ?? "", `${each.where ?? "not running"}${each.seconds_since === null ? "" : `, ${ago(each.seconds_since)}`}`, figure(each.cycle), figure(each.games), progress, figure(each.workers), each.spent === null ? "" : dollars(each.spent)] : Array(7).fill("");
  return h("tr", {},
    h("td", {}, h("input", { type: "checkbox", "aria-label": `compare ${each.name}`, "data-key": `compare ${each.name}`, checked: chosen.has(each.name), onchange: (event) => choose(each.name, event.target.checked) })),
    h("th", { scope: "row" }, h("a", { href: `/run/${encodeURIComponent(each.name)}`, "data-key": each.name }, each.name)),
    cells.map((text, i) => h("td", { class: [2, 3, 5, 6].includes(i) ? "number" : "" }, text)),
    h("td", { class: wrong ? "bad" : "" }, wrong || (known ? "nothing" : "looking")));
}

the("compare").addEventListener("submit", (event) => {
  event.preventDefault();
  const [first, ...rest] = [...chosen];
  location.assign(`/run/${encodeURIComponent(first)}?${rest.map((each) => `with=${encodeURIComponent(each)}`).join("&")}`);
});

let shown = "";
follow("/api/experiments/events", (found) => {
  const { directory, experiments } = found;
  most = found.most;
  trouble(found.trouble);
  the("where").textContent = directory;
  const now = JSON.stringify(experiments);
  the("none").hidden = experiments.length > 0;
  the("compare").hidden = experiments.length === 0;
  if (now !== shown) {
    shown = now;
    const { key } = document.activeElement?.dataset ?? {};
    hold(the("list"), h("thead", {}, h("tr", {}, ["", "Experiment", "Stage", "Learner", "Cycle", "Games", "Progress", "Workers", "Spent", "Wrong"].map((text) => h("th", { scope: "col" }, text || h("span", { class: "unseen" }, "Compare"))))),
      h("tbody", {}, experiments.map(line)));
    if (key !== undefined) [...the("list").querySelectorAll("[data-key]")].find((each) => each.dataset.key === key)?.focus();
  }
  document.documentElement.dataset.ready = String(experiments.length);
}, (why) => trouble(why === null ? "" : why || NO_NEWS));
