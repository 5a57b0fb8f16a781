"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const PLACE = `calotype-votes-${data.id}`;

// --- what was voted ---------------------------------------------------------------------------------------------------

let kept = true; // whether the browser stores votes

function load() {
  try {
    const found = JSON.parse(localStorage.getItem(PLACE));
    if (found) return found;
  } catch { kept = false; }
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return { voter: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""), votes: [] };
}

function store() {
  try { localStorage.setItem(PLACE, JSON.stringify(state)); } catch { kept = false; }
}

let state = load();

// Numbers in [0, 1) that follow from a seed (Mulberry32), so that a voter meets the same order after a reload.
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// All trials in a random order, each with the pictures in a random order.
function order() {
  const random = numbers(parseInt(state.voter.slice(0, 8), 16));
  const found = data.trials.map((trial) => ({ trial, sides: random() < 0.5 ? [0, 1] : [1, 0] }));
  for (let k = found.length - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    [found[k], found[other]] = [found[other], found[k]];
  }
  return found;
}

const nameOf = (set, image, codecs, qualities) => JSON.stringify([set, image, codecs, qualities]);
const trialName = ({ set, name, shown }) => nameOf(set, name, shown.map((one) => one.codec), shown.map((one) => one.quality));
const voteName = ({ set, image, codecs, qualities }) => nameOf(set, image, codecs, qualities);

// --- the trial that is shown ------------------------------------------------------------------------------------------

const PICTURES = ["a", "original", "b"].map((name) => byId(`picture-${name}`));
const trio = byId("trio"), message = byId("message");
const broken = new Set();
let asked = order(), now = null, turn = 0, shift = [0, 0];

async function next() {
  const done = new Set(state.votes.map(voteName));
  const left = asked.filter(({ trial }) => !done.has(trialName(trial)) && !broken.has(trialName(trial)));
  const mine = ++turn;
  byId("progress").max = Math.max(1, asked.length);
  byId("progress").value = done.size;
  byId("count").textContent = `${done.size} of ${asked.length}`;
  byId("undo").disabled = byId("save").disabled = state.votes.length === 0;
  standing();
  trio.classList.remove("ready");
  allow(false);
  now = null;
  trio.hidden = left.length === 0;
  if (left.length === 0) {
    message.textContent = `That was all${broken.size ? ", but for pictures that could not be shown" : ""}. Save the votes to a file.`;
    return;
  }
  const { trial, sides } = left[0];
  const files = [trial.shown[sides[0]].file, trial.original, trial.shown[sides[1]].file];
  PICTURES.forEach((picture, k) => { picture.src = files[k]; });
  try {
    await Promise.all(PICTURES.map((picture) => picture.decode()));
  } catch {
    if (mine !== turn) return;
    broken.add(trialName(trial));
    await next();
    return;
  }
  if (mine !== turn) return;
  now = left[0];
  shift = [0, 0];
  place();
  trio.classList.add("ready");
  allow(true);
  message.textContent = kept ? "" : "This browser stores no votes: save them to a file before you close the page.";
}

function allow(may) {
  for (const id of ["choose-a", "choose-none", "choose-b"]) byId(id).disabled = !may;
}

// One pixel of the picture is one of the page; all three show the same part.
function place() {
  if (!now) return;
  const pane = PICTURES[0].parentElement;
  [now.trial.width, now.trial.height].forEach((size, axis) => {
    const room = [pane.clientWidth, pane.clientHeight][axis], most = Math.max(0, (size - room) / 2);
    shift[axis] = Math.min(most, Math.max(-most, shift[axis]));
    for (const picture of PICTURES) picture.style[axis ? "top" : "left"] = `${Math.round((room - size) / 2 + shift[axis])}px`;
  });
}

function choose(side) {
  if (!now) return;
  const { set, name, shown } = now.trial;
  const codecs = shown.map((one) => one.codec), sides = now.sides.map((k) => codecs[k]);
  state.votes.push({
    set, image: name, codecs, qualities: shown.map((one) => one.quality), bytes: shown.map((one) => one.bytes),
    left: sides[0], better: side === null ? null : sides[side], time: new Date().toISOString(),
  });
  store();
  next();
}

function undo() {
  state.votes.pop();
  store();
  next();
}

function save() {
  const file = { format: data.format, version: data.version, voter: state.voter, bench: data.id, votes: state.votes };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" }));
  link.download = `votes-${state.voter}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function anew() {
  if (state.votes.length && !confirm("Delete the votes in this browser? Save them to a file first.")) return;
  try { localStorage.removeItem(PLACE); } catch { kept = false; }
  state = load();
  asked = order();
  broken.clear();
  next();
}

// --- Elo, as calotype.evaluate.tables.votes has it ----------------------------------------------------------------------

const REPLICATES = 200;

function elo(votes, codecs) {
  const size = codecs.length, played = codecs.map(() => new Array(size).fill(0)), wins = new Array(size).fill(0.5);
  for (const vote of votes) {
    const [one, other] = vote.codecs.map((codec) => codecs.indexOf(codec));
    const part = vote.better === null ? 0.5 : Number(vote.better === vote.codecs[0]);
    wins[one] += part;
    wins[other] += 1 - part;
    played[one][other]++;
    played[other][one]++;
  }
  let p = new Array(size).fill(1);
  for (let round = 0; round < 10000; round++) {
    const step = p.map((mine, k) => wins[k] / p.reduce((sum, theirs, j) => sum + played[k][j] / (mine + theirs), 1 / (mine + 1)));
    const odds = step.map((value) => value / (1 + value)), total = (f) => odds.reduce((sum, part) => sum + f(part), 0);
    const after = step.map((value) => value * Math.exp(total((part) => 0.5 - part) / total((part) => part * (1 - part))));
    const change = Math.max(...after.map((value, k) => Math.abs(Math.log(value / p[k]))));
    p = after;
    if (change < 1e-7) break;
  }
  const ranks = p.map((value) => 400 * Math.log10(value)), mean = ranks.reduce((a, b) => a + b, 0) / size;
  return ranks.map((rank) => 1500 + rank - mean);
}

function standing() {
  if (!byId("standing").open) return;
  const { votes } = state, codecs = [...new Set(votes.flatMap((vote) => vote.codecs))].sort();
  const random = numbers(1), ranks = elo(votes, codecs);
  const again = Array.from({ length: REPLICATES }, () => elo(votes.map(() => votes[Math.floor(random() * votes.length)]), codecs));
  const interval = (k) => {
    const sorted = again.map((found) => found[k]).sort((a, b) => a - b);
    return [0.025, 0.975].map((part) => sorted[Math.round(part * (REPLICATES - 1))].toFixed(0)).join(" to ");
  };
  const rows = codecs.map((codec, k) => [codec, ranks[k], interval(k), votes.filter((vote) => vote.codecs.includes(codec)).length]);
  rows.sort((a, b) => b[1] - a[1]);
  byId("ranks").replaceChildren(...rows.map(([codec, rank, range, count]) => {
    const line = document.createElement("tr"), head = document.createElement("th");
    head.scope = "row";
    head.textContent = codec;
    line.append(head, ...[rank.toFixed(0), range, count].map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }));
    return line;
  }));
}

// --- hands ------------------------------------------------------------------------------------------------------------

const KEYS = { ArrowLeft: () => choose(0), ArrowRight: () => choose(1), ArrowDown: () => choose(null), Backspace: undo };

document.addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  KEYS[event.key]();
});
let drag = null;
trio.addEventListener("pointerdown", (event) => {
  const pane = event.target.closest(".pane");
  if (!pane) return;
  drag = { x: event.clientX, y: event.clientY, shift: [...shift] };
  pane.setPointerCapture(event.pointerId);
});
trio.addEventListener("pointermove", (event) => {
  if (!drag) return;
  shift = [drag.shift[0] + event.clientX - drag.x, drag.shift[1] + event.clientY - drag.y];
  place();
});
for (const end of ["pointerup", "pointercancel"]) trio.addEventListener(end, () => { drag = null; });
window.addEventListener("resize", place);
byId("choose-a").addEventListener("click", () => choose(0));
byId("choose-b").addEventListener("click", () => choose(1));
byId("choose-none").addEventListener("click", () => choose(null));
byId("undo").addEventListener("click", undo);
byId("save").addEventListener("click", save);
byId("anew").addEventListener("click", anew);
byId("standing").addEventListener("toggle", standing);
next();
