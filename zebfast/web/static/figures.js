// Numbers and times in words, as the terminal says them.

/** A length of time in two units at most. */
export function age(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const ago = (seconds) => (seconds === null || seconds === undefined ? "" : `${age(seconds)} ago`);

/** A whole number with its thousands apart; others with few digits. */
export function figure(value) {
  if (value === null || value === undefined) return "";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return size >= 100 ? value.toFixed(1) : size >= 0.01 || size === 0 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

/** A number on an axis. */
export function short(value) {
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= unit) return `${Number((value / unit).toPrecision(4))}${letter}`;
  }
  return size !== 0 && size < 0.001 ? value.toExponential(0) : String(Number(value.toPrecision(4)));
}

export const dollars = (value) => `$${value.toFixed(2)}`;

/** A moment, in UTC as in logs; what is no time of any calendar is shown as it is. */
export function when(unix) {
  const moment = new Date(1000 * unix);
  return Number.isNaN(moment.getTime()) ? String(unix) : moment.toISOString().slice(0, 16).replace("T", " ");
}
