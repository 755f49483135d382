// Search, filters and sorting of the catalogue. Without it the page is a plain table.
"use strict";

const STEP = 60; // rows in the page at once: what makes a page slow is laying out rows, not searching them
const MILLION = 1e6;
const WAIT_MS = 300; // Safari refuses more than a hundred changes of the address in 30 s

const form = document.querySelector("#filters");
const table = document.querySelector("#models");
const more = document.querySelector("#more");
const names = new Intl.Collator("en", { numeric: true });

const models = Array.from(table.tBodies[0].rows, (row) => ({
  row,
  cell: row.querySelector("td:nth-child(6)"),
  text: row.textContent.toLowerCase(),
  name: row.dataset.name,
  family: row.dataset.family,
  licence: row.dataset.licence,
  size: Number(row.dataset.size),
  side: Number(row.dataset.side ?? NaN),
  params: Number(row.dataset.params ?? NaN),
  metrics: new Map(JSON.parse(row.dataset.metrics ?? "[]")),
}));
models.forEach((model, place) => { model.place = place; });

let fitting = models;
let shown = 0;

/** What the form asks; a number that is not given asks nothing. */
function asked() {
  const given = new FormData(form);
  const number = (name) => (given.get(name) ? Number(given.get(name)) : null);
  const metric = given.get("metric");
  const option = form.elements.metric?.selectedOptions[0];
  return {
    words: given.get("q").toLowerCase().split(/\s+/).filter(Boolean),
    family: given.get("family"),
    licence: given.get("licence"),
    size: number("size"),
    params: number("params"),
    accuracy: number("accuracy"),
    metric,
    less: option?.hasAttribute("data-less") ?? false,
    sort: given.get("sort"),
  };
}

/** Whether a model has all that is asked: null where it says nothing about a figure that decides. */
function fits(model, ask) {
  const has = (!ask.family || model.family === ask.family)
    && (!ask.licence || model.licence === ask.licence)
    && (ask.size === null || model.size <= ask.size * MILLION)
    && ask.words.every((word) => model.text.includes(word));
  if (!has) return false;
  const params = ask.params === null || isAtMost(model.params, ask.params * MILLION);
  const metric = model.metrics.get(ask.metric) ?? NaN;
  const accuracy = ask.accuracy === null
    || (ask.less ? isAtMost(metric, ask.accuracy) : isAtMost(-metric, -ask.accuracy));
  if (params === false || accuracy === false) return false;
  return params && accuracy;
}

function isAtMost(value, limit) {
  return Number.isNaN(value) ? null : value <= limit;
}

/** Models in the order that is asked; those without the value come last, whichever way it goes. */
function sorted(found, ask) {
  const key = ask.sort.replace("-", "");
  const way = ask.sort.startsWith("-") ? -1 : 1;
  const value = key === "metric" ? (model) => model.metrics.get(ask.metric) ?? NaN : (model) => model[key];
  if (key === "name") return byName(found, ask.words[0] ?? "", way);
  if (key === "family" || key === "licence") {
    return found.toSorted((one, other) => way * names.compare(value(one), value(other)) || one.place - other.place);
  }
  return found.toSorted((one, other) => {
    const unknown = Number.isNaN(value(one)) - Number.isNaN(value(other));
    return unknown || way * (value(one) - value(other)) || one.place - other.place;
  });
}

/** In the order of the page; what begins with the word that is looked for comes first. */
function byName(found, word, way) {
  const isFar = (model) => Number(!model.name.startsWith(word));
  return found.toSorted((one, other) => isFar(one) - isFar(other) || way * (one.place - other.place));
}

function update() {
  const ask = asked();
  const verdicts = new Map(models.map((model) => [model, fits(model, ask)]));
  const silent = models.filter((model) => verdicts.get(model) === null).length;
  fitting = sorted(models.filter((model) => verdicts.get(model)), ask);
  shown = 0;
  table.tBodies[0].replaceChildren();
  showMore();
  say(silent);
  mark(ask);
  scheduleAddress();
}

function showMore() {
  const next = fitting.slice(shown, shown + STEP);
  const metric = form.elements.metric?.value;
  for (const model of next) showMetric(model, metric);
  table.tBodies[0].append(...next.map((model) => model.row));
  shown += next.length;
  more.hidden = shown === fitting.length;
}

/** The metric that was chosen, else, with its name, the first one that the model has. */
function showMetric({ cell, metrics }, chosen) {
  if (!metrics.size) return;
  cell.dataset.first ??= cell.querySelector("small").textContent;
  const has = metrics.has(chosen);
  const small = document.createElement("small");
  small.textContent = has ? "" : cell.dataset.first;
  cell.replaceChildren(String(Number(metrics.get(has ? chosen : cell.dataset.first).toPrecision(6))), small);
}

function say(silent) {
  const all = models.length.toLocaleString("en");
  const some = fitting.length.toLocaleString("en");
  const left = silent ? `; ${silent.toLocaleString("en")} more do not say and are left out` : "";
  document.querySelector("#count").textContent = (some === all ? `${all} models` : `${some} of ${all} models`) + left;
  document.querySelector("#none").hidden = fitting.length > 0;
  table.hidden = fitting.length === 0;
}

/** Shows the order in the heads of the columns, and whether the metric is better high or low. */
function mark(ask) {
  for (const head of table.tHead.rows[0].cells) {
    const isDown = ask.sort === `-${head.dataset.key}`;
    if (isDown || ask.sort === head.dataset.key) head.ariaSort = isDown ? "descending" : "ascending";
    else head.removeAttribute("aria-sort");
  }
  const bound = document.querySelector("#bound");
  if (bound) bound.textContent = ask.less ? "of at most" : "of at least";
}

/** What is asked stays in the address, so that it can be sent to others and outlives the way back from a model. */
function keepAddress() {
  const given = Array.from(new FormData(form)).filter(([name, value]) => value && value !== first(name));
  const query = new URLSearchParams(given).toString();
  history.replaceState(null, "", query ? `#${query}` : location.pathname + location.search);
}

function first(name) {
  return form.elements[name].options?.[0].value ?? "";
}

let waiting;
function scheduleAddress() {
  clearTimeout(waiting);
  waiting = setTimeout(keepAddress, WAIT_MS);
}

function readAddress() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const field = Array.from(form.elements).find((element) => element.name === name);
    if (!field) continue;
    field.value = value;
    if (field.options && field.selectedIndex < 0) field.selectedIndex = 0;
  }
}

for (const head of table.tHead.rows[0].cells) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const key = head.dataset.key;
    const isBig = head.classList.contains("number") && key === "metric"; // the best first
    const [one, other] = isBig ? [`-${key}`, key] : [key, `-${key}`];
    form.elements.sort.value = form.elements.sort.value === one ? other : one;
    update();
  });
}

form.addEventListener("input", update);
form.addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll(".reset")) {
  button.addEventListener("click", () => {
    form.reset();
    update();
  });
}
more.addEventListener("click", showMore);
new IntersectionObserver(([seen]) => { if (seen.isIntersecting) showMore(); }, { rootMargin: "600px" }).observe(more);
window.addEventListener("hashchange", () => { readAddress(); update(); });

const details = form.querySelector("details");
details.open = location.hash.length > 1 || matchMedia("(min-width: 60rem)").matches; // a phone has room for the search alone
form.hidden = false;
readAddress();
update();
