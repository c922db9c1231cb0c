// What happens, said in sentences to those who hear the table.

import { words } from "./domino.js";
import { bid, called, declaration, points } from "./words.js";

/** Tells a live region what is new in a state. */
export class Saying {
  constructor(region) {
    this.region = region;
  }

  /** The difference between two states of one seat; `before` is null for the first. */
  tell(before, view, seat, nameOf) {
    const said = before === null ? [] : news(before, view, seat, nameOf);
    const turn = view.to_act === seat && seat !== null && (before === null || before.to_act !== seat || before.phase !== view.phase);
    if (turn) said.push(yourTurn(view));
    if (said.length) this.region.textContent = said.join(" ");
  }
}

function news(before, view, seat, nameOf) {
  const said = [];
  const verb = (who, text) => (who === seat ? text.replace(/^passes/, "pass").replace(/^bids/, "bid") : text);
  if (before.hand_number === view.hand_number || view.phase === "deal") {
    for (const [who, call] of view.calls.slice(before.calls.length)) said.push(`${nameOf(who)} ${verb(who, called(call))}.`);
    if (before.decl === null && view.decl !== null) said.push(`${declaration(view.decl)}.`);
    const old = before.tricks.flatMap((trick) => trick.plays).length;
    let n = 0;
    for (const trick of view.tricks) {
      for (const [who, name] of trick.plays) {
        n += 1;
        if (n > old) said.push(`${nameOf(who)}: ${words(name)}.`);
      }
      if (n > old && trick.winner !== null) said.push(`${nameOf(trick.winner)} ${trick.winner === seat ? "take" : "takes"} ${points(trick.points)}.`);
    }
  } else {
    said.push(`Hand ${view.hand_number} is dealt.`);
  }
  if (view.results.length > before.results.length) {
    const last = view.results[view.results.length - 1];
    said.push(last.made === null ? "All passed." : `${bid(last.bid)} was ${last.made ? "made" : "set"}.`);
    said.push(`Marks ${view.marks.join(" to ")}.`);
  }
  return said;
}

function yourTurn(view) {
  if (view.phase === "call") return `Your bid. ${view.bid === null ? "Nobody has bid." : `The bid is ${bid(view.bid)}.`}`;
  if (view.phase === "declare") return "Name trumps.";
  return view.led ? `Your turn: ${view.led} were led. You may play ${view.legal.map(words).join("; ")}.` : "Your lead.";
}
