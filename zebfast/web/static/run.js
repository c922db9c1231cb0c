// One experiment as it goes on: shows what the server says of it, and changes nothing.

import { follow, NO_NEWS } from "./api.js";
import { picture, savePng, table } from "./chart.js";
import { h, hold, prefs, the, trouble } from "./dom.js";
import { tile } from "./domino.js";
import { age, ago, dollars, figure, when } from "./figures.js";
import { points, take } from "./points.js";

const ACROSS = { "": "as usual", step: "cycles", "stats/total_games": "games", "stats/minutes": "minutes of the recipe", time: "hours" };
const LABELS = { step: "cycle", "stats/total_games": "games", "stats/minutes": "minutes", time: "hours since it began" };
const SHOWN = 25; // workers, of more than that
const name = decodeURIComponent(location.pathname.split("/")[2]);
const others = [...new Set(new URLSearchParams(location.search).getAll("with"))].filter((each) => each !== name);
let look = null; // the newest look
let curves = {}; // points by experiment
let all = false; // whether all workers are shown
let drawn = ""; // what the panels show
let stop = () => {};

the("home").append(tile("42"));
the("title").textContent = name;
document.title = `${name} – zebfast`;
hold(the("across"), Object.entries(ACROSS).map(([value, text]) => h("option", { value, selected: value === prefs.get("across", "") }, text)));
the("across").addEventListener("change", () => {
  prefs.set("across", the("across").value);
  showPanels();
});
the("find").addEventListener("input", showWorkers);
the("more").addEventListener("click", () => {
  all = !all;
  showWorkers();
  showMoney();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  drawn = "";
  showPanels();
});

/** The others as the end of an address. */
const query = () => (others.length ? `?${others.map((each) => `with=${encodeURIComponent(each)}`).join("&")}` : "");

function start() {
  stop();
  stop = follow(`/api/run/${encodeURIComponent(name)}/events${query()}`, (found) => {
    const began = performance.now();
    look = found.look;
    for (const [each, part] of Object.entries(found.curves)) curves[each] = take(curves[each] ?? null, part);
    if (look !== null) show();
    document.documentElement.dataset.took = (performance.now() - began).toFixed(1);
  }, (why) => trouble(why === null ? look?.trouble ?? "" : why || NO_NEWS));
}

function show() {
  trouble(look.trouble && look.looked ? `${look.trouble} What is shown is of ${when(look.looked)} UTC.` : look.trouble);
  if (look.looked === undefined) return;
  the("as-of").textContent = `as of ${new Date(1000 * look.looked).toISOString().slice(11, 19)} UTC`;
  showNow();
  showChecks();
  showPanels();
  showStreams();
  showWorkers();
  showMoney();
  showIncidents();
  showRuns();
  document.documentElement.dataset.looked = look.looked;
}

/** Put text where it differs, so that what is selected or focused stays. */
function put(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}

// --- how it stands -------------------------------------------------------------------------------------

function showNow() {
  const { learner, recipe } = look;
  hold(the("progress"), recipe === null ? null : [
    h("progress", { max: 1, value: recipe.share, "aria-label": "part of all games" }),
    h("p", {}, recipe.words)]);
  const losses = [["policy", "policy_loss"], ["value", "value_loss"], ["belief", "belief_loss"]]
    .filter(([, key]) => learner[key] !== null).map(([text, key]) => `${text} ${learner[key].toFixed(3)}`);
  const facts = [
    ["Learner", `${learner.where ?? "not running"}${learner.seconds_since === null ? "" : `, ${ago(learner.seconds_since)}`}`],
    ["Stage", recipe?.stage ?? look.stage],
    ["Time left", recipe?.seconds_left ? age(recipe.seconds_left) : ""],
    ["Cycle", figure(learner.cycle)],
    ["Games", figure(learner.games ?? look.games)],
    ["Published", look.step === null ? "" : `step ${figure(look.step)}`],
    ["Losses", losses.join(", ")],
    ["Won v random", learner.win_rate_vs_random === null ? "" : `${(100 * learner.win_rate_vs_random).toFixed(1)} %`],
    ["W&B", link(look.wandb)],
    ["Note", look.note],
    ["Weights", look.weights],
    ["Examples", look.examples],
  ];
  hold(the("facts"), facts.filter(([, value]) => value).map(([term, value]) => h("div", { class: ["Weights", "Examples", "Note"].includes(term) ? "long" : null }, h("dt", {}, term), h("dd", {}, value))));
}

/** A link where it is one; whatever else somebody has published is text. */
function link(address) {
  if (typeof address !== "string" || !address.startsWith("https://")) return address;
  return h("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, "the run at W&B");
}

function showChecks() {
  const wrong = look.checks.filter((check) => check.state === "wrong");
  const sentence = wrong.length ? `${wrong.length} wrong: ${wrong.map((check) => check.name).join(", ")}` : "Nothing is wrong.";
  put(the("said"), sentence);
  const errors = look.errors.map((error) => h("li", {}, error));
  hold(the("wrong"), errors, wrong.length ? wrong.map((check) => h("li", {}, h("strong", {}, check.name), `: ${check.found}`, check.fix ? h("code", {}, check.fix) : null))
    : h("li", { class: "well" }, "Nothing is wrong."));
  if (!the("all-checks").open && the("checks").rows.length) return;
  hold(the("checks"), h("thead", {}, h("tr", {}, ["Check", "", "Found"].map((text) => h("th", { scope: "col" }, text || h("span", { class: "unseen" }, "State"))))),
    h("tbody", {}, look.checks.map((check) => h("tr", {}, h("th", { scope: "row" }, check.name), h("td", { class: check.state === "wrong" ? "bad" : "" }, check.state === "off" ? "not used" : check.state), h("td", {}, check.found)))));
}
the("all-checks").addEventListener("toggle", () => look && showChecks());

// --- curves --------------------------------------------------------------------------------------------

function linesOf(panel, across) {
  const names = [name, ...others];
  return names.flatMap((each, run) => panel.series.map(([legend, metric, low, high], number) => {
    const found = points(curves[each] ?? null, metric, across, [low, high]);
    if (across === "time" && found.x.length) {
      const first = curves[each].x.time.find((at) => at !== null);
      found.x = found.x.map((at) => (at - first) / 3600);
    }
    return { ...found, legend: others.length ? `${each}: ${legend}` : legend, color: others.length ? run : number, dash: number };
  })).filter((line) => line.x.length && (panel.x !== "time" || line.y.some((speed) => speed > 0)));
}

function marksOf(across) {
  const own = curves[name];
  if (!own || !own.x["stats/total_games"]) return [];
  const first = own.x.time.find((at) => at !== null);
  return look.stages.flatMap(([stage, games]) => {
    const at = own.x["stats/total_games"].findIndex((counted) => counted >= games);
    if (at < 0) return [];
    const x = own.x[across][at];
    return x === null ? [] : [[across === "time" ? (x - first) / 3600 : x, stage]];
  });
}

function showPanels() {
  if (look === null || look.panels === undefined) return;
  const { metrics } = look;
  const read = metrics.sampled ? `a first picture; ${Math.round(100 * metrics.read)} % of the rows are read` : `${figure(metrics.rows)} rows of metrics`;
  put(the("rows"), metrics.bad ? `${read}; ${figure(metrics.bad)} damaged lines are left out` : read);
  const now = JSON.stringify([the("across").value, look.panels, look.stages, Object.values(curves).map((own) => own && [own.key, own.x.step?.length, own.x.time?.at(-1), own.x.step?.at(-1)])]);
  if (now === drawn) return;
  drawn = now;
  const figures = the("panels");
  while (figures.children.length > look.panels.length) figures.lastElementChild.remove();
  look.panels.forEach((panel, number) => showPanel(panel, figures.children[number] ?? figures.appendChild(newFigure(number))));
}

function newFigure(number) {
  const details = h("details", {}, h("summary", {}, "as a table"), h("div", { class: "scroll", tabindex: 0, role: "region" }));
  const figure = h("figure", { id: `panel-${number}` },
    h("figcaption", {}, h("h3", {}), h("span", { class: "tools" },
      h("button", { type: "button", class: "png", onclick: () => save(figure) }, "PNG"),
      h("a", { class: "button csv", download: true }, "CSV"))),
    h("div", { class: "drawing" }), details);
  details.addEventListener("toggle", () => showTable(figure));
  return figure;
}

function showPanel(panel, figure) {
  const across = the("across").value || panel.x;
  const drawing = { title: panel.title, xLabel: LABELS[across], lines: linesOf(panel, across), level: panel.level, marks: marksOf(across) };
  figure.drawing = drawing;
  put(figure.querySelector("h3"), panel.title);
  hold(figure.querySelector(".drawing"), picture(drawing));
  figure.querySelector(".png").setAttribute("aria-label", `Save “${panel.title}” as PNG`);
  const csv = figure.querySelector(".csv");
  const metrics = panel.series.flatMap(([, metric, low, high]) => [metric, low, high]).filter((metric) => curves[name]?.series[metric] && !metric.startsWith("speed/"));
  csv.setAttribute("aria-label", `Save the metrics of “${panel.title}” as CSV`);
  csv.href = `/api/run/${encodeURIComponent(name)}/metrics.csv?${metrics.map((metric) => `metric=${encodeURIComponent(metric)}`).join("&")}`;
  showTable(figure);
}

function showTable(figure) {
  const details = figure.querySelector("details");
  if (!details.open) return;
  const place = details.querySelector("div");
  place.setAttribute("aria-label", `${figure.drawing.title} as a table`);
  hold(place, table(figure.drawing));
}

async function save(figure) {
  const stem = `${name}-${figure.drawing.title}`.replace(/[^A-Za-z0-9._-]+/g, "-");
  document.documentElement.dataset.saved = await savePng(figure.querySelector("svg"), stem);
}

// --- who plays -----------------------------------------------------------------------------------------

function head(...texts) {
  return h("thead", {}, h("tr", {}, texts.map((text) => h("th", { scope: "col" }, text))));
}

function showStreams() {
  hold(the("streams"), head("Stream", "Games/s, last half hour", "Files", "Newest", "Workers"), h("tbody", {}, look.streams.map((stream) => h("tr", {},
    h("th", { scope: "row" }, stream.source), h("td", { class: "number" }, figure(stream.games_per_s)), h("td", { class: "number" }, figure(stream.n_files)),
    h("td", {}, ago(stream.seconds_since)), h("td", { class: "number" }, figure(stream.n_workers))))));
}

const isBad = (worker) => worker.phase === "failed" || worker.silent === true;

function says(worker) {
  if (worker.phase === null) return "";
  const words = [`${worker.silent ? "silent, was " : ""}${worker.phase} ${ago(worker.beat)}`];
  if (worker.restarts) words.push(`${worker.restarts} restarts`);
  if (worker.gpu !== null) words.push(worker.memory === null ? worker.gpu : `${worker.gpu} ${figure(Math.round(worker.memory))} MB`);
  return worker.error === null ? words.join(", ") : `${words.join(", ")}: ${worker.error}`;
}

function showWorkers() {
  if (look === null || look.workers === undefined) return;
  const { columns } = look;
  const workers = look.workers.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  const phases = new Map();
  for (const worker of workers) {
    const phase = worker.silent ? "silent" : worker.phase ?? "without a heartbeat";
    phases.set(phase, (phases.get(phase) ?? 0) + 1);
  }
  const speed = workers.reduce((sum, worker) => sum + (worker.rate ?? 0), 0);
  put(the("phases"), workers.length ? `${figure(workers.length)}: ${[...phases].map(([phase, n]) => `${n} ${phase}`).join(", ")}; ${figure(speed)} games/s` : "None yet.");
  const wanted = the("find").value.trim().toLowerCase();
  const found = workers.filter((worker) => wanted === "" || [worker.worker, worker.stream, worker.phase, worker.gpu, worker.error].join(" ").toLowerCase().includes(wanted))
    .sort((a, b) => isBad(b) - isBad(a) || (b.rate ?? -1) - (a.rate ?? -1) || (a.worker < b.worker ? -1 : 1));
  const shown = all ? found : found.slice(0, SHOWN);
  the("more").hidden = found.length <= SHOWN;
  put(the("more"), all ? `Show ${SHOWN}` : `Show all ${figure(found.length)}`);
  const most = Math.max(1e-9, ...workers.map((worker) => worker.rate ?? 0));
  const place = the("workers");
  if (place.tBodies.length === 0) hold(place, head("Worker", "Stream", "Games/s", "Files", "Newest", "Weights", "Says"), h("tbody"));
  const rows = place.tBodies[0].rows;
  while (rows.length > shown.length) rows[rows.length - 1].remove();
  shown.forEach((worker, number) => showWorker(rows[number] ?? place.tBodies[0].appendChild(newRow()), worker, most));
  place.hidden = workers.length === 0;
}

function newRow() {
  return h("tr", {}, h("th", { scope: "row" }), h("td"), h("td", {}, h("span", { class: "speed", "aria-hidden": "true" }), h("span")), [1, 2, 3, 4].map(() => h("td")));
}

function showWorker(row, worker, most) {
  const [id, stream, speed, files, newest, weights, said] = row.cells;
  put(id, worker.worker);
  put(stream, worker.stream);
  const wide = `${Math.round((60 * (worker.rate ?? 0)) / most)}px`;
  if (speed.firstChild.style.width !== wide) speed.firstChild.style.width = wide;
  put(speed.lastChild, figure(worker.rate));
  put(files, figure(worker.files));
  put(newest, ago(worker.newest));
  put(weights, worker.step === null ? "" : `step ${figure(worker.step)}${worker.behind ? `, ${figure(worker.behind)} behind` : ""}`);
  put(said, says(worker));
  const kind = isBad(worker) ? "bad" : "";
  if (row.className !== kind) row.className = kind;
}

// --- money, incidents, runs ----------------------------------------------------------------------------

let money = ""; // what of it is shown

function showMoney() {
  const now = JSON.stringify([look.fleets, all]);
  if (now === money) return;
  money = now;
  the("money").hidden = look.fleets.length === 0;
  hold(the("fleets"), look.fleets.map(fleetOf));
}

function fleetOf(fleet) {
  const left = [fleet.left === null ? null : `${dollars(fleet.left)} of ${dollars(fleet.budget)} left`, fleet.hours_left === null ? null : `${age(3600 * fleet.hours_left)} left`,
    fleet.node_hours_left === null ? null : `${figure(fleet.node_hours)} node hours used, ${figure(fleet.node_hours_left)} left`];
  const rate = [`${dollars(fleet.per_hour)} an hour`, `${dollars(24 * fleet.per_hour)} a day`, fleet.per_million === null ? null : `${dollars(fleet.per_million)} for a million games`];
  const machines = [...fleet.machines].sort((a, b) => a.at(-1) - b.at(-1)); // those in trouble first
  const shown = all ? machines : machines.slice(0, SHOWN);
  const row = ([label, provider, gpu, , price, games, old, health, good]) => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, provider), h("td", {}, gpu),
    h("td", { class: "number" }, price === null ? "" : price.toFixed(3)), h("td", { class: "number" }, figure(games)), h("td", {}, age(old)), h("td", { class: good ? "" : "bad" }, health));
  return [
    h("h3", {}, fleet.fleet),
    h("p", {}, h("strong", {}, `${dollars(fleet.spent)} spent`), [...left, ...rate].filter(Boolean).map((text) => `, ${text}`)),
    h("p", { class: "soft" }, `${fleet.playing} of ${fleet.wanted} play. Machines and prices as the fleet's own last look had them${fleet.looked === null ? "" : `, ${when(fleet.looked)} UTC`}.`),
    fleet.notes.map((note) => h("p", { class: "soft" }, note)),
    machines.length === 0 ? null : h("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": `Machines of ${fleet.fleet}` },
      h("table", {}, head("Machine", "From", "GPU", "$/h", "Games/s", "Age", "How"), h("tbody", {}, shown.map(row)))),
    shown.length < machines.length ? h("p", { class: "soft" }, `and ${figure(machines.length - shown.length)} more, shown with all workers`) : null];
}

function showIncidents() {
  the("no-incidents").hidden = look.n_incidents > 0;
  const more = look.n_incidents - look.incidents.length;
  const now = JSON.stringify([look.n_incidents, look.incidents[0]]);
  if (the("incidents").dataset.of === now) return;
  the("incidents").dataset.of = now;
  hold(the("incidents"), look.incidents.map(([unix, kind, line]) => h("li", {}, `${when(unix)} ${kind}: ${line}`)), more > 0 ? h("li", {}, `and ${figure(more)} older ones`) : null);
}

function showRuns() {
  hold(the("runs"), head("Began, UTC", "Stage", "Host", "Took", "Incidents", "End"), h("tbody", {}, look.runs.map((run) => h("tr", {},
    h("th", { scope: "row" }, when(run.started)), h("td", {}, run.stage), h("td", {}, run.host), h("td", {}, run.ended === null ? "" : age(run.ended - run.started)),
    h("td", { class: "number" }, run.incidents || ""), h("td", {}, run.end)))));
}

// --- beside others -------------------------------------------------------------------------------------

const ending = follow("/api/experiments/events", ({ experiments, most }) => {
  const known = experiments.map((each) => each.name).filter((each) => each !== name);
  if (experiments.length === 0) return;
  ending(); // once is enough, and a line is left for others
  the("others").hidden = known.length === 0;
  hold(the("others"), h("legend", {}, "compare with"), known.map((each) => h("label", {}, h("input", { type: "checkbox", checked: others.includes(each), onchange: (event) => compare(each, event.target.checked, most) }), each)));
  offer(most);
});

/** Let no more be chosen than can be beside each other. */
function offer(most) {
  for (const box of the("others").querySelectorAll("input")) box.disabled = !box.checked && others.length >= most - 1;
}

function compare(each, wanted, most) {
  if (wanted) others.push(each);
  else others.splice(others.indexOf(each), 1);
  offer(most);
  history.replaceState(null, "", query() || location.pathname);
  curves = Object.fromEntries(Object.entries(curves).filter(([of]) => of === name || others.includes(of)));
  drawn = "";
  start();
}

start();
