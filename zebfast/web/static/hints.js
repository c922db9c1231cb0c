// Hints: shown when asked for, as the server worked them out from what the seat knows.

import { ask } from "./api.js";
import { h, hold } from "./dom.js";
import { tile, words } from "./domino.js";

const percent = (chance) => `${Math.round(100 * chance)} %`;

/** Ask for them and show them in `box`. */
export async function showHints(box, id, seat, view, nameOf, toast) {
  box.hidden = false;
  hold(box, h("p", {}, "Thinking…"));
  let found;
  try {
    found = await ask(`/api/table/${id}/hint?seat=${seat}`);
  } catch (error) {
    box.hidden = true;
    toast(error.message);
    return;
  }
  hold(box, h("h2", {}, "Hints"), found.sentences.map((text) => h("p", { class: "soft" }, text)),
    found.options.length ? optionsTable(found) : null,
    found.belief ? beliefTable(found.belief, nameOf) : null);
}

function optionsTable(found) {
  const head = found.columns.map((text) => h("th", { scope: "col", class: "number" }, text));
  const rows = found.options.map((option) => h("tr", { class: option.best ? "best" : "" },
    h("th", { scope: "row" }, option.domino ? [tile(option.domino, { lying: true }), h("span", { class: "unseen" }, words(option.domino))] : option.name, option.best ? " best" : ""),
    option.values.map((value) => h("td", { class: "number" }, value))));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, found.what), head)), h("tbody", {}, rows)));
}

function beliefTable(belief, nameOf) {
  const rows = belief.dominoes.map(([name, chances]) => h("tr", {}, h("th", { scope: "row" }, tile(name, { lying: true }), h("span", { class: "unseen" }, words(name))), chances.map((chance) => h("td", { class: "number" }, percent(chance)))));
  return h("details", {}, h("summary", {}, "Where the hidden dominoes may be"),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Domino"), belief.seats.map((who) => h("th", { scope: "col", class: "number" }, nameOf(who))))), h("tbody", {}, rows))));
}
