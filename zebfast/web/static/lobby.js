// The first page: tables that go on, a new one, a game from elsewhere.

import { ask, follow } from "./api.js";
import { h, hold, prefs, the, trouble } from "./dom.js";
import { tile } from "./domino.js";

const WORDS = { scoring: "Scoring", auction: "Auction", all_pass: "If all pass", most_reshakes: "Reshakes before the shaker must bid", forced_bid: "Least forced bid", opening_marks: "Most marks to open with", most_marks: "Most marks of a bid", follow_me: "Follow me (no trump)", doubles_suit: "Doubles as a suit", nello: "Nello", nello_marks: "Least marks for nello", plunge: "Plunge from (marks, 0 = off)", splash: "Splash from (marks, 0 = off)", partner_leads: "Partner leads after plunge or splash", sevens: "Sevens from (marks, 0 = off)", early_end: "Decided hands end at once" };
const KINDS = { computer: "computer", here: "person, here", link: "person, by link" };
const PACES = { instant: "at once", fast: "fast", calm: "calm", slow: "slow" };
let known = null; // players, rules and paces of the server

the("logo").append(tile("42"));

function fail(error) {
  trouble(error.message);
  the("trouble").scrollIntoView({ block: "nearest" });
}

async function attempt(job) {
  trouble("");
  try {
    await job();
  } catch (error) {
    fail(error);
  }
}

function showTables(tables) {
  the("none").hidden = tables.length > 0;
  hold(the("tables"), tables.map((table) => {
    const names = (team) => [table.seats[team], table.seats[team + 2]].map(([name]) => name).join(" & ");
    const state = table.review_only ? "a game from elsewhere" : table.over
      ? `${names(table.winner)} won` : `hand ${table.hand_number}, to ${table.target}`;
    const href = table.review_only ? `/review/${table.id}` : `/table/${table.id}`;
    return h("li", {},
      h("span", { class: "what" },
        h("strong", {}, `${names(0)} ${table.marks[0]} : ${table.marks[1]} ${names(1)}`),
        h("span", { class: "soft" }, state)),
      h("a", { class: "button", href }, table.over || table.review_only ? "Look back" : "Go on"),
      h("button", { "aria-label": `Remove the table of ${names(0)} and ${names(1)}`, onclick: () => removeTable(table) }, "Remove"));
  }));
}

function removeTable(table) {
  if (!confirm("Remove this table and its game for good?")) return;
  attempt(() => ask(`/api/table/${table.id}/remove`, {}));
}

function showForm() {
  hold(the("pace"), known.paces.map((pace) => h("option", { value: pace, selected: pace === prefs.get("pace", "calm") }, PACES[pace] ?? pace)));
  hold(the("seats"), known.places.map((place, number) => {
    const kind = h("select", { id: `kind-${number}`, "aria-label": `${place}: who sits there` },
      Object.entries(KINDS).map(([value, text]) => h("option", { value, selected: value === (number === 0 ? "here" : "computer") }, text)));
    const name = h("input", { id: `name-${number}`, maxlength: 24, placeholder: place, "aria-label": `${place}: name`, value: number === 0 ? prefs.get("name", "") : "" });
    const player = h("select", { id: `player-${number}`, class: "player", "aria-label": `${place}: which computer player` },
      known.players.map(([spec, words]) => h("option", { value: spec }, words)));
    const fit = () => { player.hidden = kind.value !== "computer"; };
    kind.addEventListener("change", fit);
    fit();
    return h("div", { class: "place" }, h("span", {}, place), kind, name, player);
  }));
  hold(the("rules"), known.rules.filter((rule) => rule.name !== "target").map(ruleField));
}

function ruleField(rule) {
  const id = `rule-${rule.name}`;
  let field;
  if (rule.kind === "choice") field = h("select", { id }, rule.choices.map((choice) => h("option", { value: choice, selected: choice === rule.default }, choice)));
  else if (rule.kind === "switch") field = h("input", { id, type: "checkbox", checked: rule.default });
  else field = h("input", { id, type: "number", min: rule.least, max: rule.most, value: rule.default });
  return h("div", { class: "rule" }, h("label", { for: id }, WORDS[rule.name] ?? rule.name), field, h("small", {}, rule.help));
}

function chosenRules() {
  const found = { target: Number(the("target").value) };
  for (const rule of known.rules) {
    const field = the(`rule-${rule.name}`);
    if (field === null) continue;
    const value = rule.kind === "switch" ? field.checked : rule.kind === "number" ? Number(field.value) : field.value;
    if (value !== rule.default) found[rule.name] = value;
  }
  return found;
}

the("new").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    prefs.set("pace", the("pace").value);
    prefs.set("name", the("name-0").value);
    const seats = known.places.map((_, number) => ({
      kind: the(`kind-${number}`).value,
      name: the(`name-${number}`).value,
      player: the(`player-${number}`).value,
    }));
    const { id } = await ask("/api/tables", { seats, pace: the("pace").value, hints: the("hints").checked, rules: chosenRules() });
    location.assign(`/table/${id}`);
  });
});

the("import").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const [file] = the("file").files;
    const text = file ? await file.text() : the("text").value;
    const { id } = await ask("/api/import", { text });
    location.assign(`/review/${id}`);
  });
});

follow("/api/lobby/events", (found) => {
  const first = known === null;
  known = found;
  if (first) showForm();
  showTables(found.tables);
  document.documentElement.dataset.ready = "yes";
}, (why) => {
  if (why !== null) fail(new Error(why || "The server does not answer. Is zebfast play still running?"));
  else trouble("");
});
