// The table: shows what the server says of it, and sends back what its person chooses.

import { ask, follow } from "./api.js";
import { h, hold, prefs, s, showTheme, the } from "./dom.js";
import { short, tile, words } from "./domino.js";
import { showHints } from "./hints.js";
import { Saying } from "./saying.js";
import { bid, called, declaration, marks, needs, points, shortDeclaration } from "./words.js";

const id = location.pathname.split("/")[2];
const saying = new Saying(the("said"));
let view = null; // the newest state
let seat = null; // the own seat that is looked from
let busy = false; // something was sent and not yet answered
let stop = () => {};
let curtain = false; // several people share this browser, and it is being handed on

the("home").append(tile("42"));

// --- the line to the server --------------------------------------------------------------------------

async function start() {
  try {
    const found = await ask(`/api/table/${id}`);
    sit(found.own.length ? found.own.find((own) => own === found.to_act) ?? found.own[0] : null, found.own.length > 1);
  } catch (error) {
    toast(error.message, true);
  }
}

function sit(where, covered) {
  seat = where;
  curtain = covered;
  stop();
  const query = seat === null ? "" : `?seat=${seat}`;
  stop = follow(`/api/table/${id}/events${query}`, (found) => {
    const before = view !== null && view.seat === found.seat ? view : null;
    view = found;
    show(before);
  }, (why) => {
    toast(why === null ? "" : why || "The server does not answer. The game is kept, and goes on when it is back.", true);
  });
}

async function send(what, more = {}) {
  if (busy || view === null) return;
  busy = true;
  try {
    await ask(`/api/table/${id}/${what}`, { at: view.version, ...more });
    toast("");
  } catch (error) {
    toast(error.message);
  } finally {
    busy = false;
  }
}

const act = (value) => send("act", { seat, phase: view.phase, value });

// --- who is who ----------------------------------------------------------------------------------------

const base = () => seat ?? 0;
const placeOf = (who) => (who - base() + 4) % 4;
const team = (who) => who % 2;
const nameOf = (who) => (who === seat ? "You" : view.seats[who].name);
const sideName = (side) => (seat !== null && team(seat) === side ? "Us" : seat === null ? [side, side + 2].map((who) => view.seats[who].name).join(" & ") : "Them");
const mine = () => seat !== null && view.to_act === seat && !curtain;

// --- showing it ----------------------------------------------------------------------------------------

function show(before) {
  if (view.own.length > 1 && view.to_act !== seat && view.own.includes(view.to_act)) {
    sit(view.to_act, true);
    return;
  }
  showScore();
  showContract();
  for (const place of [0, 1, 2, 3]) showPlate(place);
  showTrick(before);
  showHand();
  showAsk();
  the("undo").disabled = !view.undo;
  the("home").hidden = !view.is_owner;
  the("hint").hidden = !(view.hints && seat !== null);
  if (before === null || before.version !== view.version) the("hints").hidden = true;
  the("last").disabled = lastTrick() === null;
  document.title = mine() ? "● Your turn – Texas 42" : "Texas 42";
  if (view.trouble) toast(view.trouble);
  saying.tell(before, view, seat, nameOf);
  if (mine() && (document.activeElement === document.body || document.activeElement === null)) focusOnTurn();
  document.documentElement.dataset.version = view.version;
  if (mine() && view.phase === "play" && view.legal.length === 1 && prefs.get("forced", "no") === "yes") act(view.legal[0]);
}

function focusOnTurn() {
  const first = view.phase === "play" ? document.querySelector("#hand button:not([aria-disabled=true])") : document.querySelector("#ask button");
  first?.focus({ preventScroll: true });
}

function showScore() {
  const rows = [0, 1].map((side) => (seat === null ? side : (team(seat) + side) % 2)).map((side) => {
    const own = view.marks[side];
    const unit = view.rules.scoring === "points" ? points(own) : marks(own);
    return [
      h("span", { class: "side", title: [side, side + 2].map((who) => view.seats[who].name).join(" & ") }, sideName(side)),
      view.rules.scoring === "marks" && view.target <= 7 ? tally(own, view.target) : h("span", {}),
      h("span", {}, unit),
    ];
  });
  hold(the("score"), rows.flat());
}

// Marks are chalked as the strokes of ALL: seven of them.
const STROKES = ["M2 22 9 3", "M9 3 16 22", "M5 15H13", "M23 3V22", "M23 22H32", "M39 3V22", "M39 22H48"];

function tally(own, target) {
  return s("svg", { viewBox: "0 0 50 25", class: "tally", "aria-hidden": "true" },
    STROKES.slice(0, target).map((d, i) => s("path", { d, class: i < own ? "won" : "" })));
}

// Between hands the one that is over is still looked at.
const handNumber = () => view.hand_number - (view.phase === "deal" && view.results.length > 0 ? 1 : 0);

function showContract() {
  const box = the("contract");
  const hand = `Hand ${handNumber()}`;
  if (view.bid === null) {
    hold(box, h("span", { class: "main" }, view.phase === "over" ? "The game is over" : `${hand}: the auction`),
      h("span", { class: "sub" }, `${nameOf(view.shaker)} ${view.shaker === seat ? "shake" : "shakes"}`));
    return;
  }
  const who = view.bidder === seat ? "You" : view.seats[view.bidder].name;
  const what = `${who} bid ${bid(view.bid)}`;
  const trumps = view.decl === null ? (view.phase === "call" ? "the auction goes on" : "trumps are being named") : declaration(view.decl);
  const side = team(view.bidder);
  const line = `This hand ${sideName(0 + (seat === null ? 0 : team(seat)))} ${view.points[seat === null ? 0 : team(seat)]} : ${view.points[seat === null ? 1 : 1 - team(seat)]} ${sideName(seat === null ? 1 : 1 - team(seat))}`;
  const nello = (view.decl ?? "").startsWith("nello");
  const goal = nello ? "to take no trick" : `${sideName(side).toLowerCase() === "us" ? "we need" : sideName(side) === "Them" ? "they need" : "needs"} ${needs(view.bid)}`;
  hold(box, h("span", { class: "main" }, `${hand}: ${what}, ${trumps}`),
    h("span", { class: "sub" }, view.decl === null ? `${nameOf(view.shaker)} ${view.shaker === seat ? "shake" : "shakes"}` : `${line}, ${goal}`),
    view.decl === null || nello ? null : meter(side, needs(view.bid)));
}

function meter(side, need) {
  const own = seat === null ? 0 : team(seat);
  const [us, them] = [view.points[own], view.points[1 - own]];
  const goal = side === own ? need : 42 - need;
  return s("svg", { viewBox: "0 0 42 2", class: "meter", preserveAspectRatio: "none", role: "img", "aria-label": `${us} to ${them}, the bid is at ${need}` },
    s("rect", { x: 0, y: 0, width: 42, height: 2, class: "all" }),
    s("rect", { x: 0, y: 0, width: us, height: 2, class: "us" }),
    s("rect", { x: 42 - them, y: 0, width: them, height: 2, class: "them" }),
    s("line", { x1: goal, x2: goal, y1: 0, y2: 2, class: "goal" }));
}

const DOING = { call: "to bid", declare: "to name trumps", play: "to play" };

function showPlate(place) {
  const who = (base() + place) % 4;
  const plate = the(`plate-${place}`);
  const { name, kind, held } = view.seats[who];
  const turn = view.to_act === who;
  const call = view.calls.findLast(([each]) => each === who);
  const tags = [];
  if (view.shaker === who && view.phase !== "over" && view.phase !== "deal") tags.push(h("span", { class: "tag" }, "shake"));
  if (call && view.phase !== "deal") tags.push(h("span", { class: view.bidder === who ? "tag bid" : "tag" }, call[1] === "pass" ? "pass" : `bid ${call[1]}`));
  if (view.leader === who && view.phase === "play" && view.tricks.length === 0) tags.push(h("span", { class: "tag" }, "leads"));
  if (turn) tags.push(h("span", { class: "tag" }, kind === "computer" ? "thinking" : DOING[view.phase]));
  plate.classList.toggle("turn", turn);
  plate.setAttribute("aria-label", who === seat ? `${name}, your seat` : name);
  const title = who === seat && name !== "You" ? `${name} (you)` : name;
  hold(plate, h("span", { class: "name" }, title), h("span", { class: "tags" }, tags), view.open ? openHand(who) : place === 0 && seat !== null ? null : backs(held));
}

function backs(held) {
  return h("span", { class: "backs", role: "img", "aria-label": `${held} dominoes` }, Array.from({ length: held }, () => tile("00", { back: true })));
}

function openHand(who) {
  return h("span", { class: "shown", role: "img", "aria-label": `had ${view.open[who].map(words).join("; ")}` }, view.open[who].map((name) => tile(name)));
}

function lastTrick() {
  const full = view.tricks.filter((trick) => trick.winner !== null);
  return full.length ? full[full.length - 1] : null;
}

function showTrick(before) {
  const tricks = view.tricks;
  const trick = tricks.length ? tricks[tricks.length - 1] : null;
  const known = before === null ? Infinity : before.tricks.reduce((n, each) => n + each.plays.length, 0);
  const now = tricks.reduce((n, each) => n + each.plays.length, 0);
  const box = the("trick");
  if (trick === null || (view.phase === "deal" || view.phase === "over")) {
    hold(box, h("p", { class: "middle" }, middleText()));
    return;
  }
  const past = trick.winner !== null;
  const spots = trick.plays.map(([who, name], i) => {
    const wins = past && trick.winner === who;
    const fresh = i === trick.plays.length - 1 && now === known + 1;
    const caption = wins ? `takes ${trick.points}` : i === 0 ? "led" : "";
    return h("figure", { class: `spot${past ? " past" : ""}${wins ? " wins" : ""}${fresh ? " fresh" : ""}`, "data-place": placeOf(who), role: "img", "aria-label": `${nameOf(who)}: ${words(name)}${caption ? `, ${caption}` : ""}` },
      tile(name), h("figcaption", { class: "caption" }, caption || "\u00a0"));
  });
  spots.forEach((spot) => { spot.style.margin = "0"; });
  hold(box, spots, h("p", { class: "middle" }, middleText()));
}

function middleText() {
  if (view.phase === "call") return view.to_act === seat ? "Your bid" : `${nameOf(view.to_act)} is bidding`;
  if (view.phase === "declare") return view.to_act === seat ? "Name trumps" : `${nameOf(view.to_act)} names trumps`;
  if (view.phase === "play" && view.led) return [h("strong", {}, view.led), " led"];
  if (view.phase === "play" && view.tricks.length === 0) return `${nameOf(view.leader)} ${view.leader === seat ? "lead" : "leads"}`;
  return "";
}

// --- the own hand --------------------------------------------------------------------------------------

function sorted(hand) {
  const trumps = new Set(view.trumps);
  const key = (name) => (trumps.has(name) ? 1000 : 0) + (name[0] === name[1] && trumps.has(name) && view.decl !== "doubles" ? 500 : 0) + Number(name);
  return [...hand].sort((a, b) => key(b) - key(a));
}

const buttons = new Map();

function showHand() {
  const hand = curtain || view.open ? [] : sorted(view.hand);
  const box = the("hand");
  for (const [name, button] of buttons) {
    if (!hand.includes(name)) {
      if (button === document.activeElement) button.blur();
      button.remove();
      buttons.delete(name);
    }
  }
  const playing = mine() && view.phase === "play";
  box.classList.toggle("asked", playing && view.legal.length < hand.length);
  hand.forEach((name, i) => {
    let button = buttons.get(name);
    if (button === undefined) {
      button = h("button", { type: "button", "data-domino": name, onclick: () => choose(name) }, tile(name), h("span", { class: "mark" }));
      buttons.set(name, button);
    }
    const trump = view.trumps.includes(name);
    const legal = playing && view.legal.includes(name);
    button.setAttribute("aria-disabled", playing && !legal ? "true" : "false");
    button.setAttribute("aria-label", `${words(name)}${trump ? ", trump" : ""}${playing ? (legal ? ", may be played" : ", may not be played") : ""}`);
    button.querySelector(".mark").textContent = trump ? "trump" : "";
    if (box.children[i] !== button) box.insertBefore(button, box.children[i] ?? null);
  });
}

function choose(name) {
  if (!mine() || view.phase !== "play") return toast(view.phase === "play" ? "It is not your turn." : "Nothing is played now.");
  if (!view.legal.includes(name)) return toast(view.led ? `${short(name)} may not be played: ${view.led} were led, and you have some.` : `${short(name)} may not be played now.`);
  return act(name);
}

// --- what is asked -------------------------------------------------------------------------------------

let asked = "";

function showAsk() {
  const box = the("ask");
  const key = JSON.stringify([curtain, seat, view.phase, view.to_act, view.legal, view.may_end, view.results.length, view.tricks.length === 0]);
  if (key === asked) return;
  asked = key;
  if (curtain && seat !== null) return hold(box, ...handOn());
  const parts = [];
  if (view.phase === "deal" || view.phase === "over") parts.push(...afterHand());
  else if (!mine()) parts.push(h("p", { class: "lead quiet" }, view.to_act === null ? "" : `${nameOf(view.to_act)} ${view.seats[view.to_act].kind === "computer" ? "is thinking" : `is ${DOING[view.phase]}`}`));
  else if (view.phase === "call") parts.push(h("p", { class: "lead" }, "Your bid"), h("div", { class: "calls" }, view.legal.map(callButton)));
  else if (view.phase === "declare") parts.push(h("p", { class: "lead" }, "You name trumps"), h("div", { class: "calls" }, view.legal.map(declareButton)));
  else parts.push(h("p", { class: "lead" }, view.led ? `Your turn: ${view.led} were led` : "Your lead"));
  if (view.may_end) parts.push(h("button", { onclick: () => send("end") }, "The hand is decided: end it"));
  hold(box, ...parts);
  return undefined;
}

function handOn() {
  const name = view.seats[seat].name;
  const button = h("button", { class: "primary", onclick: () => { curtain = false; asked = ""; show(view); focusOnTurn(); } }, `I am ${name}: show my dominoes`);
  return [h("p", { class: "lead" }, `Hand this screen to ${name}.`), button];
}

function callButton(call) {
  const text = call === "pass" ? "Pass" : /^\d+$/.test(call) && Number(call) >= 42 ? marks(Number(call) / 42) : call;
  return h("button", { "aria-label": call === "pass" ? "Pass" : `Bid ${bid(call)}`, "data-value": call, class: call === "pass" ? "primary" : "", onclick: () => act(call) }, text);
}

const SUITS = ["blanks", "ones", "twos", "threes", "fours", "fives", "sixes"];

function declareButton(name) {
  const pip = SUITS.indexOf(name);
  const own = name === "doubles" ? view.hand.filter((each) => each[0] === each[1]).length : pip >= 0 ? view.hand.filter((each) => each.includes(String(pip))).length : null;
  return h("button", { "data-value": name, "aria-label": `${shortDeclaration(name)}${own === null ? "" : `, you hold ${own}`}`, onclick: () => act(name) }, shortDeclaration(name), own === null ? "" : ` · ${own}`);
}

function afterHand() {
  const last = view.results[view.results.length - 1];
  const parts = [h("p", { class: "outcome" }, outcome(last))];
  if (view.phase === "over") {
    const won = seat === null ? `${[view.winner, view.winner + 2].map((who) => view.seats[who].name).join(" and ")} have won` : view.winner === team(seat) ? "You have won" : "They have won";
    parts.push(h("p", { class: "lead" }, `${won} the game, ${view.marks[view.winner]} to ${view.marks[1 - view.winner]}.`));
    parts.push(h("a", { class: "button primary", href: `/review/${id}` }, "Review the game"), view.is_owner ? h("a", { class: "button", href: "/" }, "All tables") : null);
  } else if (view.own.length || view.is_owner) {
    parts.push(h("button", { class: "primary", "aria-keyshortcuts": "n", onclick: () => send("next") }, "Next hand"));
    if (view.results.length && last.made !== null) parts.push(h("a", { class: "button", href: `/review/${id}?hand=${view.results.length}` }, "Look back at this hand"));
  }
  return parts;
}

function outcome(last) {
  if (last.made === null) return "All passed: the hand is thrown in.";
  const who = last.bidder === seat ? "You" : view.seats[last.bidder].name;
  const own = last.points[team(last.bidder)];
  const gained = last.award.map((each, side) => (each ? `${sideName(side)}: ${view.rules.scoring === "points" ? points(each) : marks(each)}` : "")).filter(Boolean).join(", ");
  return `${who} bid ${bid(last.bid)}, ${declaration(last.decl)}: ${last.made ? "made" : "set"} with ${points(own)}. ${gained}.`;
}

// --- sheets --------------------------------------------------------------------------------------------

function sheet(title, ...body) {
  the("sheet-title").textContent = title;
  hold(the("sheet-body"), ...body);
  if (!the("sheet").open) the("sheet").showModal();
}

function showLast() {
  const trick = lastTrick();
  if (trick === null) return toast("No trick has been taken yet.");
  return sheet("The last trick", h("div", { class: "past-trick" }, trick.plays.map(([who, name], i) => h("figure", {}, tile(name), h("figcaption", {}, `${nameOf(who)}${i === 0 ? " led" : ""}`, h("br"), h("span", { class: "soft" }, short(name)))))),
    h("p", {}, `${nameOf(trick.winner)} took ${points(trick.points)}.`));
}

function showRecord() {
  const calls = view.calls.map(([who, call]) => `${nameOf(who)} ${who === seat && call === "pass" ? "pass" : who === seat ? called(call).replace("bids", "bid") : called(call)}`).join(", ");
  const rows = view.tricks.map((trick, i) => h("tr", {}, h("th", { scope: "row" }, i + 1),
    [0, 1, 2, 3].map((who) => {
      const at = trick.plays.findIndex(([each]) => each === who);
      return h("td", {}, at < 0 ? "" : `${short(trick.plays[at][1])}${at === 0 ? " led" : ""}`);
    }), h("td", {}, trick.winner === null ? "" : `${nameOf(trick.winner)}, ${trick.points}`)));
  const hands = view.results.map((each, i) => h("tr", {}, h("th", { scope: "row" }, i + 1), h("td", {}, each.made === null ? "thrown in" : `${nameOf(each.bidder)} ${bid(each.bid)}, ${shortDeclaration(each.decl)}`), h("td", {}, each.made === null ? "" : `${each.made ? "made" : "set"}, ${each.points.join(" : ")}`), h("td", {}, each.award.join(" : "))));
  sheet("The record", h("h3", {}, `Hand ${handNumber()}`), h("p", {}, calls || "Nobody has called yet."),
    rows.length ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Tricks" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Trick"), [0, 1, 2, 3].map((who) => h("th", { scope: "col" }, nameOf(who))), h("th", { scope: "col" }, "Taken by"))), h("tbody", {}, rows))) : null,
    hands.length ? [h("h3", {}, "Hands before"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Hands" }, h("table", {}, h("thead", {}, h("tr", {}, ["Hand", "Contract", "Outcome", "Scored"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, hands))),
      h("p", {}, h("a", { href: `/review/${id}` }, "Look back at these hands"))] : null,
    view.takebacks ? h("p", { class: "soft" }, `${view.takebacks} taken back in this game.`) : null);
}

async function showMore() {
  const choice = (label, name, options, value, changed) => h("label", {}, label, h("select", { id: name, onchange: (event) => changed(event.target.value) }, options.map(([each, text]) => h("option", { value: each, selected: each === value }, text))));
  const check = (label, name, value, changed) => h("label", {}, label, h("input", { id: name, type: "checkbox", checked: value, onchange: (event) => changed(event.target.checked) }));
  const other = Object.entries(view.rules.other).map(([key, value]) => `${key} ${value}`).join(", ");
  sheet("Settings", h("div", { class: "settings" },
    choice("Pace", "set-pace", [["instant", "at once"], ["fast", "fast"], ["calm", "calm"], ["slow", "slow"]], view.pace, (pace) => send("settings", { pace })),
    choice("Colours", "set-theme", [["auto", "as this device has them"], ["light", "light"], ["dark", "dark"]], prefs.get("theme", "auto"), (theme) => { prefs.set("theme", theme); showTheme(); }),
    check("Play a forced domino by itself", "set-forced", prefs.get("forced", "no") === "yes", (on) => prefs.set("forced", on ? "yes" : "no")),
    check("Keys of one letter", "set-keys", prefs.get("keys", "yes") === "yes", (on) => prefs.set("keys", on ? "yes" : "no")),
    view.is_owner ? check("Hints may be asked for", "set-hints", view.hints, (hints) => send("settings", { hints })) : null,
    h("div", { id: "links", class: "link" })),
  h("p", { class: "soft" }, `Rules: ${other ? `straight 42, but ${other}` : "straight 42"}, to ${view.target}.`),
  h("h3", {}, "Keys"),
  h("dl", { class: "keys" }, [["Tab, arrows", "go through your dominoes and bids"], ["Enter", "play or bid"], ["6 4", "two digits play that domino; 3 4 bids 34 in the auction"], ["P", "pass"], ["L", "last trick"], ["R", "record"], ["H", "hint"], ["U", "take back"], ["N", "next hand"], ["S", "settings"]].map(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)])));
  if (!view.is_owner || !view.seats.some((each) => each.kind === "link")) return;
  const { links } = await ask(`/api/table/${id}/links`);
  hold(the("links"), h("strong", {}, "Links for people elsewhere"), Object.entries(links).map(([who, path]) => h("label", { class: "link" }, view.seats[who].name, h("input", { readonly: true, id: `link-${who}`, value: location.origin + path, onfocus: (event) => event.target.select() }))));
}

// --- keys ----------------------------------------------------------------------------------------------

let typed = "";
let typedAt = 0;

function type(digit) {
  if (Date.now() - typedAt > 1500) typed = "";
  typedAt = Date.now();
  typed += digit;
  if (typed.length < 2) return;
  const [a, b] = typed;
  typed = "";
  if (view.phase === "call" && mine()) {
    if (view.legal.includes(a + b)) act(a + b);
    else toast(`You may not bid ${a}${b} now.`);
    return;
  }
  const name = a >= b ? a + b : b + a;
  if (view.hand.includes(name)) choose(name);
  else toast(`You do not hold ${short(name)}.`);
}

function step(by) {
  const all = [...document.querySelectorAll(document.activeElement?.closest("#ask") ? "#ask button" : "#hand button")];
  if (!all.length) return false;
  const at = all.indexOf(document.activeElement);
  all[(at + by + all.length) % all.length].focus();
  return true;
}

const KEYS = {
  l: showLast, r: showRecord, s: showMore,
  u: () => the("undo").disabled || send("undo"),
  n: () => document.querySelector("#ask button[aria-keyshortcuts=n]")?.click(),
  p: () => document.querySelector("#ask button[data-value=pass]")?.click(),
  h: () => the("hint").hidden || hint(),
};

document.addEventListener("keydown", (event) => {
  if (view === null || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target.closest?.("input, select, textarea, dialog");
  // Until the next frame a sheet that was just closed still has the focus.
  if (at && !at.closest("dialog:not([open])")) return;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    if (step(event.key === "ArrowRight" ? 1 : -1)) event.preventDefault();
    return;
  }
  if (prefs.get("keys", "yes") !== "yes") return;
  const does = /^[0-9]$/.test(event.key) ? () => type(event.key) : KEYS[event.key.toLowerCase()];
  if (does === undefined) return;
  event.preventDefault(); // else the letter goes on to what it has just opened
  does();
});

const hint = () => showHints(the("hints"), id, seat, view, nameOf, toast);
the("last").addEventListener("click", showLast);
the("record").addEventListener("click", showRecord);
the("more").addEventListener("click", showMore);
the("undo").addEventListener("click", () => send("undo"));
the("hint").addEventListener("click", hint);

// --- sentences that come and go --------------------------------------------------------------------

let timer = 0;

function toast(text, stays = false) {
  clearTimeout(timer);
  the("toast").textContent = text;
  the("toast").hidden = !text;
  if (text && !stays) timer = setTimeout(() => toast(""), 6000);
}

start();
