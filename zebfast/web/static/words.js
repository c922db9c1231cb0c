// What happens at a table, in words.

const DECLARATIONS = {
  "doubles": "doubles are trumps",
  "doubles-suit": "doubles are a suit, no trumps",
  "no-trump": "follow me (no trump)",
  "nello": "nello, doubles a suit of their own",
  "nello-high": "nello, doubles high",
  "nello-low": "nello, doubles low",
  "nello-inverted": "nello, doubles upside down",
  "sevens": "sevens",
};

/** A declaration: "fives are trumps". */
export function declaration(name) {
  return DECLARATIONS[name] ?? `${name} are trumps`;
}

/** The same on a button: "Fives". */
export function shortDeclaration(name) {
  const known = { "no-trump": "Follow me", "doubles-suit": "Doubles as a suit", "nello-high": "Nello, doubles high", "nello-low": "Nello, doubles low", "nello-inverted": "Nello, doubles upside down" };
  return known[name] ?? name[0].toUpperCase() + name.slice(1);
}

/** A call: "passes", "bids 31", "bids 2 marks". */
export function called(call) {
  return call === "pass" ? "passes" : `bids ${bid(call)}`;
}

/** What a bid is: "31", "1 mark (42)", "a plunge of 4 marks". */
export function bid(call) {
  const house = /^(plunge|splash)-(\d)$/.exec(call);
  if (house) return `a ${house[1]} of ${marks(Number(house[2]))}`;
  const number = Number(call);
  return number >= 42 ? `${marks(number / 42)} (${number})` : call;
}

/** "1 mark", "3 marks". */
export const marks = (n) => (n === 1 ? "1 mark" : `${n} marks`);

/** "1 point", "3 points". */
export const points = (n) => (n === 1 ? "1 point" : `${n} points`);

/** The points that a bid needs. */
export function needs(call) {
  const number = /^\d+$/.test(call) ? Number(call) : 42;
  return Math.min(number, 42);
}
