/**
 * The last minutes of the service: requests and errors per second, and latency, from the differences of `GET /stats`.
 */

import { getJson } from "./api.js";
import { el, shown, svg } from "./dom.js";

const POLL_MS = 2000;
const WINDOW_SECONDS = 300;
const WIDTH = 480;
const HEIGHT = 120;

/** Put the charts into `element`, and keep them up to date while the page is looked at. */
export function watchTraffic(element, modelShown) {
  const charts = [
    new Chart("rate", "Requests per second", ["requests", "errors"], (value) => shown(Number(value.toPrecision(3)))),
    new Chart("latency", "Latency", ["p99", "p50", "mean"], milliseconds),
  ];
  const counts = el("p", { className: "note", id: "traffic-counts" });
  element.append(el("div", { className: "charts" }, ...charts.map((chart) => chart.element)), counts);
  const points = [];
  let last = null;

  const poll = async () => {
    if (document.hidden) return;
    try {
      const stats = await getJson("stats", { quiet: true });
      const point = last && difference(last, stats);
      last = stats;
      element.hidden = false;
      counts.textContent = countsOf(stats, modelShown());
      if (point) points.push(point);
      while (points.length && points[0].at < stats.at - WINDOW_SECONDS) points.shift();
      for (const chart of charts) chart.draw(points, stats.at);
    } catch {
      // Without an answer there is no point: the line has a gap, and the next poll tries again.
      last = null;
    }
  };
  poll();
  setInterval(poll, POLL_MS);
  document.addEventListener("visibilitychange", poll);
}

/**
 * What happened between two answers of `/stats`; null where the service started anew in between.
 *
 * Latencies are in seconds, null where nothing was answered.
 */
export function difference(before, after) {
  const seconds = after.at - before.at;
  const [was, is] = [before.requests, after.requests];
  const count = total(is.statuses) - total(was.statuses);
  if (seconds <= 0 || count < 0) return null;
  const buckets = bucketsBetween(was.buckets, is.buckets);
  return {
    at: after.at,
    requests: count / seconds,
    errors: (failed(is.statuses) - failed(was.statuses)) / seconds,
    mean: count ? (is.seconds - was.seconds) / count : null,
    p50: quantile(buckets, 0.5),
    p99: quantile(buckets, 0.99),
  };
}

function bucketsBetween(before, after) {
  const earlier = new Map(before.map(({ le, count }) => [le, count]));
  return after.map(({ le, count }) => ({
    le: le === "+Inf" ? Infinity : Number(le),
    count: count - (earlier.get(le) ?? 0),
  }));
}

/** A quantile of a histogram with cumulative buckets, linear within one, as Prometheus estimates it. */
export function quantile(buckets, share) {
  const wanted = share * (buckets.at(-1)?.count ?? 0);
  if (wanted === 0) return null;
  const index = buckets.findIndex(({ count }) => count >= wanted);
  const low = index ? buckets[index - 1] : { le: 0, count: 0 };
  const { le, count } = buckets[index];
  return le === Infinity ? low.le : low.le + ((le - low.le) * (wanted - low.count)) / (count - low.count);
}

function countsOf(stats, name) {
  const versions = Object.entries(stats.models[name] ?? {});
  if (!versions.length) return `Since the start: ${shown(total(stats.requests.statuses))} requests.`;
  const told = versions.map(([version, { requests, rows }]) => {
    const refused = (requests.invalid ?? 0) + (requests.failed ?? 0);
    const answered = `version ${version} answered ${shown(requests.ok ?? 0)} requests with ${shown(rows)} rows`;
    return refused ? `${answered}, refused ${shown(refused)}` : answered;
  });
  return `Since the start, of ${name}: ${told.join("; ")}.`;
}

/** Lines over the last minutes, with the latest values in the legend. */
class Chart {
  #title;
  #series;
  #format;
  #legend = el("ul", { className: "legend plain" });
  #plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #most = el("span", { className: "most" });

  constructor(id, title, series, format) {
    this.#title = title;
    this.#series = series;
    this.#format = format;
    this.element = el(
      "figure",
      { className: "chart", id: `chart-${id}` },
      el("figcaption", {}, el("h3", {}, title), this.#legend),
      el("div", { className: "plot" }, this.#plot, this.#most),
      el("div", { className: "axis" }, el("span", {}, `${WINDOW_SECONDS / 60} min ago`), el("span", {}, "now")),
    );
  }

  draw(points, now) {
    const values = points.flatMap((point) => this.#series.map((name) => point[name] ?? 0));
    const most = ceiling(Math.max(0, ...values));
    const x = (at) => WIDTH * (1 - (now - at) / WINDOW_SECONDS);
    const y = (value) => HEIGHT - 2 - (HEIGHT - 6) * (value / most);
    const lines = this.#series.map((name) => svg("path", { class: `line ${name}`, d: path(points, name, x, y) }));
    const levels = [0, most / 2, most].map((value) => `M0 ${y(value)}H${WIDTH}`);
    this.#plot.replaceChildren(svg("path", { class: "grid", d: levels.join("") }), ...lines);
    this.#most.textContent = values.some((value) => value > 0) ? this.#format(most) : "";
    const latest = points.at(-1) ?? {};
    const told = this.#series.map((name) => [name, latest[name] == null ? "–" : this.#format(latest[name])]);
    const entries = told.map(([name, value]) => el("li", { className: name }, `${name} `, el("b", {}, value)));
    this.#legend.replaceChildren(...entries);
    this.#plot.setAttribute("aria-label", `${this.#title}, now: ${told.map((each) => each.join(" ")).join(", ")}`);
  }
}

/** The path of one series: a gap where there is no value, and where none was asked for. */
function path(points, name, x, y) {
  let last = null;
  const steps = points.map((point) => {
    if (point[name] === null) {
      last = null;
      return "";
    }
    const joins = last !== null && point.at - last < (3 * POLL_MS) / 1000;
    last = point.at;
    const place = `${x(point.at).toFixed(1)} ${y(point[name]).toFixed(1)}`;
    // A lone point is a line of no length, which round ends make a dot.
    return joins ? `L${place}` : `M${place}h0`;
  });
  return steps.join("");
}

/** The next number of 1, 1.5, 2, 3, 5, 7.5, 10, … that is no less. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 5, 7.5, 10].find((step) => step * power >= value) * power;
}

function milliseconds(seconds) {
  return `${shown(Number((1000 * seconds).toPrecision(3)))} ms`;
}

function failed(statuses) {
  return total(Object.fromEntries(Object.entries(statuses).filter(([status]) => status >= "400")));
}

function total(statuses) {
  return Object.values(statuses).reduce((sum, count) => sum + count, 0);
}
