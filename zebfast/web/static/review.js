// Looking back: one hand at a time with all dominoes open, and the whole game in one table.

import { ask } from "./api.js";
import { h, hold, s, the, trouble } from "./dom.js";
import { short, tile, words } from "./domino.js";
import { bid, marks } from "./words.js";

const id = location.pathname.split("/")[2];
let facts = null;
let shown = null;

the("home").append(tile("42"));

const fail = (error) => trouble(error.message);

async function start() {
  try {
    facts = await ask(`/api/table/${id}/hands`);
    showHead();
    const wanted = Number(new URLSearchParams(location.search).get("hand"));
    const played = facts.results.map((each, i) => (each.made === null ? 0 : i + 1)).filter(Boolean);
    if (!played.length) throw new Error("No hand has been played yet: there is nothing to look back at.");
    await showHand(wanted >= 1 && wanted <= facts.results.length ? wanted : played[played.length - 1]);
    await showAll();
  } catch (error) {
    fail(error);
  }
}

const team = (side) => `${facts.names[side]} & ${facts.names[side + 2]}`;

function showHead() {
  the("home").hidden = !facts.is_owner;
  the("title").textContent = `${team(0)} ${facts.marks[0]} : ${facts.marks[1]} ${team(1)}`;
  hold(the("links"),
    facts.review_only ? null : h("a", { class: "button", href: `/table/${id}` }, "To the table"),
    facts.results.length ? h("a", { class: "button", href: `/api/table/${id}/record`, download: "" }, "Save the record") : null,
    facts.over ? h("a", { class: "button", href: `/api/table/${id}/record?form=json`, download: "" }, "Save as JSON") : null);
  hold(the("hands"), facts.results.map((each, i) => h("button", { "data-hand": i + 1, onclick: () => showHand(i + 1).catch(fail) },
    String(i + 1), h("small", {}, each.made === null ? "–" : each.made ? "made" : "set"))));
}

async function showHand(number) {
  for (const button of document.querySelectorAll("#hands button")) button.setAttribute("aria-current", Number(button.dataset.hand) === number ? "true" : "false");
  the("said").textContent = `Working out hand ${number}.`;
  const found = await ask(`/api/table/${id}/review?hand=${number}`);
  shown = found;
  the("hand").hidden = false;
  the("hand-title").textContent = `Hand ${number}. ${found.contract}`;
  const plain = found.calls.map(([who, call]) => `${facts.names[who]} ${call === "pass" ? "passed" : `bid ${bid(call)}`}.`);
  hold(the("calls"), (found.call_words.length ? found.call_words : plain).map((text) => h("li", {}, text)));
  hold(the("dealt"), found.dealt.map((hand, who) => h("div", {}, h("h4", {}, facts.names[who]),
    h("div", { class: "row", role: "img", "aria-label": hand.map(words).join("; ") }, hand.map((name) => tile(name))))));
  hold(the("split"), found.split ? [ledger(found), found.split_words.map((text) => h("p", {}, text))] : h("p", { class: "soft" }, "This hand has no straight play to look at."));
  hold(the("mistakes"), found.mistakes.length ? found.mistakes.map((each) => h("li", {}, each.words)) : h("li", {}, "None that anybody could have known."));
  showPlays(found);
  hold(the("choices"));
  the("said").textContent = `Hand ${number}: ${found.mistakes.length} mistakes.`;
  document.documentElement.dataset.shown = number;
}

// From the deal to the outcome, a bar for each step.
function ledger(found) {
  const { deal, naming, bidders, defenders, points } = found.split;
  const steps = [["Deal, best trumps", 0, deal, "base"], ["Naming trumps", deal, deal + naming], ["Plays of the bidders", deal + naming, deal + naming + bidders], ["Plays of the others", deal + naming + bidders, points], ["It came to", 0, points, "base"]];
  const low = Math.min(0, ...steps.flatMap(([, from, to]) => [from, to]));
  const high = Math.max(42, ...steps.flatMap(([, from, to]) => [from, to]));
  const x = (value) => 130 + (250 * (value - low)) / (high - low);
  const rows = steps.map(([label, from, to, kind], i) => {
    const y = 8 + 24 * i;
    const change = kind ? to : to - from;
    return [
      s("text", { x: 124, y: y + 12, "text-anchor": "end" }, label),
      s("rect", { x: Math.min(x(from), x(to)), y, width: Math.max(1, Math.abs(x(to) - x(from))), height: 16, rx: 2, class: kind ?? (change < 0 ? "minus" : "plus") }),
      s("text", { x: 388, y: y + 12 }, kind ? String(change) : change > 0 ? `+${change}` : String(change).replace("-", "−")),
    ];
  });
  return s("svg", { viewBox: "0 0 420 132", class: "ledger", role: "img", "aria-label": found.split_words.join(" ") },
    s("line", { x1: x(0), x2: x(0), y1: 2, y2: 128, class: "axis" }), rows.flat());
}

function showPlays(found) {
  const looked = new Map(found.plays.map((play) => [play.ply, play]));
  const size = Math.round(found.played.length / 7) === 3 && found.played.length % 3 === 0 && found.plays.length === 0 ? 3 : 4;
  const rows = [];
  for (let first = 0; first < found.played.length; first += size) {
    const cells = [0, 1, 2, 3].map((who) => {
      for (let ply = first; ply < Math.min(first + size, found.played.length); ply += 1) {
        if (found.played[ply][0] === who) return cell(found.played[ply][1], looked.get(ply), ply === first);
      }
      return h("td", {});
    });
    rows.push(h("tr", {}, h("th", { scope: "row" }, String(first / size + 1)), cells));
  }
  hold(the("plays"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Trick"), facts.names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows));
}

function cell(name, play, led) {
  const verdict = play === undefined ? "forced" : play.verdict;
  const bad = verdict === "mistake" || verdict.startsWith("a mistake");
  const text = [led ? "led" : "", ["forced", "best", "good"].includes(verdict) ? "" : verdict === "bad luck" ? `bad luck −${play.loss_open}` : verdict].filter(Boolean).join(", ");
  const button = h("button", { disabled: play === undefined, "aria-expanded": play === undefined ? null : "false", "aria-label": `${words(name)}${text ? `, ${text}` : ""}`, onclick: (event) => showChoices(play, event.currentTarget) }, tile(name), h("small", {}, text || "\u00a0"));
  return h("td", { class: bad ? "mistake" : verdict === "bad luck" ? "unlucky" : "" }, button);
}

function showChoices(play, button) {
  for (const other of document.querySelectorAll("#plays [aria-expanded]")) other.setAttribute("aria-expanded", String(other === button));
  const bidding = shown.bidder !== null && play.seat % 2 === shown.bidder % 2;
  const head = ["Domino", bidding ? "Made, without sight" : "Set, without sight", "Points, without sight", "Points, hands open"];
  const rows = play.choices.map(([name, chance, points, open]) => h("tr", { class: name === play.domino ? "played" : "" },
    h("th", { scope: "row" }, tile(name, { lying: true }), h("span", { class: "unseen" }, words(name))),
    h("td", { class: "number" }, chance === null ? "" : `${Math.round(100 * chance)} %${name === play.best ? " best" : ""}`),
    h("td", { class: "number" }, points === null ? "" : points.toFixed(1)),
    h("td", { class: "number" }, `${open}${name === play.best_open ? " best" : ""}`)));
  hold(the("choices"), h("p", {}, play.words || `${facts.names[play.seat]} played ${short(play.domino)}, the best by both measures.`),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head.map((text, i) => h("th", { scope: "col", class: i ? "number" : "" }, text)))), h("tbody", {}, rows))));
  the("choices").scrollIntoView({ block: "nearest" });
  the("said").textContent = play.words;
}

const signed = (n) => (n > 0 ? `+${n}` : n < 0 ? `−${-n}` : "0");

async function showAll() {
  const { teams, hands } = await ask(`/api/table/${id}/review`);
  const rows = [["Luck of the deals", "deal"], ["Naming trumps", "naming"], ["Plays of both sides", "play"]];
  const worst = hands.flatMap((hand) => hand.mistakes.map((each) => ({ ...each, hand: hand.number }))).sort((a, b) => b.loss - a.loss).slice(0, 5);
  the("all").hidden = false;
  hold(the("totals"),
    h("p", { class: "soft" }, "Points with all hands open, over all hands: above or below the 21 of 42 that a hand is worth to each side before it is dealt."),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, ""), [0, 1].map((side) => h("th", { scope: "col", class: "number" }, team(side))))),
      h("tbody", {}, rows.map(([label, key]) => h("tr", {}, h("th", { scope: "row" }, label), teams.map((each) => h("td", { class: "number" }, signed(each[key]))))),
        h("tr", {}, h("th", { scope: "row" }, "of its plays' cost, what it could have known"), teams.map((each) => h("td", { class: "number" }, signed(-each.could_know)))),
        h("tr", {}, h("th", { scope: "row" }, "Scored"), teams.map((each) => h("td", { class: "number" }, facts.scoring === "points" ? each.marks : marks(each.marks))))))),
    worst.length ? [h("h3", {}, "The worst mistakes of the game"), h("ol", {}, worst.map((each) => h("li", {}, h("a", { href: `?hand=${each.hand}` }, `Hand ${each.hand}`), `. ${each.words}`)))] : null);
  document.documentElement.dataset.all = "yes";
}

start();
