// The points of a run as the server tells them bit by bit, and lines made of them.

const ROWS = ["i", "mean", "low", "high"];

/** What is known of a run's points once `part` has come, too. */
export function take(known, part) {
  if (part === null) return known;
  const same = known !== null && String(known.key) === String(part.key);
  const found = same ? known : { key: part.key, x: {}, series: {} };
  for (const [name, values] of Object.entries(part.x)) {
    const own = (found.x[name] ??= []);
    own.length = Math.min(own.length, part.from);
    for (const value of values) own.push(value);
  }
  for (const name of new Set([...Object.keys(found.series), ...Object.keys(part.series)])) {
    const own = (found.series[name] ??= { i: [], mean: [], low: null, high: null });
    let keep = own.i.length;
    while (keep > 0 && own.i[keep - 1] >= part.from) keep -= 1;
    const more = part.series[name];
    if (more !== undefined && more.low !== null) {
      own.low ??= [...own.mean];
      own.high ??= [...own.mean];
    }
    for (const row of ROWS) {
      if (own[row] === null) continue;
      own[row].length = keep;
      for (const value of more?.[row] ?? more?.mean ?? []) own[row].push(value);
    }
  }
  return found;
}

/** One metric over another, as a line's points; with an interval's ends where there are such. */
export function points(known, metric, across, [low, high] = []) {
  const series = known?.series[metric];
  const found = { x: [], y: [], low: null, high: null };
  if (series === undefined) return found;
  const ends = known.series[low] !== undefined && known.series[high] !== undefined;
  const of = (name) => new Map(known.series[name].i.map((i, at) => [i, known.series[name].mean[at]]));
  const [lows, highs] = ends ? [of(low), of(high)] : [null, null];
  if (ends || series.low !== null) [found.low, found.high] = [[], []];
  let last = -Infinity;
  series.i.forEach((i, at) => {
    const x = known.x[across][i];
    const y = series.mean[at];
    if (x === null || y === null || x < last) return;
    last = x;
    found.x.push(x);
    found.y.push(y);
    if (found.low === null) return;
    found.low.push((ends ? lows.get(i) : series.low[at]) ?? y);
    found.high.push((ends ? highs.get(i) : series.high[at]) ?? y);
  });
  return found;
}
