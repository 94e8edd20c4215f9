/**
 * The versions of a model: what they are served as, how good they are; and for administrators promotion and reports.
 */

import { getJson, hasKey, postJson, send } from "./api.js";
import { card, el, percent, shown } from "./dom.js";
import { pathOf } from "./signature.js";

const COLUMNS = ["Version", "Served as", "Saved", "Metric", ""];
const MOST_SHOWN = 12;
const MOST_METRICS = 8;
// Each worker follows a promotion by itself, within two seconds: it is looked until several looks in a row agree.
const LOOKS = 12;
const LOOK_MS = 250;
const AGREEING = 3;

/**
 * The card of a model's versions.
 *
 * @param {Object} model as `GET /models/<name>` tells it.
 * @param {{reload: function(): Promise, askForKey: function(string): Promise<boolean>}} page
 */
export function versionsCard(model, page) {
  const said = el("p", { className: "note", role: "status", id: "versions-status" });
  const report = el("div", { id: "report" });
  const admin = new Admin(model, page, said, report);
  const body = el("tbody");
  const table = el(
    "table",
    { className: "versions" },
    el("thead", {}, el("tr", {}, ...COLUMNS.map((title) => el("th", { scope: "col" }, title)))),
    body,
  );
  const numbers = model.versions.toReversed();
  const showRows = (count) => {
    body.replaceChildren(...numbers.slice(0, count).map((number) => rowOf(model, number, admin)));
  };
  showRows(MOST_SHOWN);
  const more = numbers.length > MOST_SHOWN ? el("button", { type: "button" }, `Show all ${numbers.length}`) : null;
  more?.addEventListener("click", () => {
    showRows(numbers.length);
    more.remove();
  });
  return card(
    "versions",
    "Versions",
    refusals(model),
    el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Versions" }, table),
    more,
    admin.toolbar(),
    said,
    report,
  );
}

/** What the metrics of a version say, the main one first, with its 95 % interval; null where there are none. */
export function metricsList(metrics) {
  const plain = Object.entries(metrics).filter(([, value]) => typeof value === "number");
  if (!plain.length) return null;
  const ordered = plain.sort(([a], [b]) => (b === metrics.main) - (a === metrics.main)).slice(0, MOST_METRICS);
  return el("dl", { className: "metrics" }, ...ordered.map(([name, value]) => {
    const interval = metrics.intervals?.[name];
    const bounds = interval ? el("span", { className: "note" }, ` ${interval.map(shown).join(" to ")}`) : null;
    return el("div", {}, el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, shown(value), bounds));
  }));
}

function rowOf(model, number, admin) {
  const saved = el("td", {}, "");
  const metric = el("td", {}, "");
  const served = model.served.includes(number);
  describe(model, number, served).then((manifest) => {
    if (!manifest) return;
    saved.textContent = manifest.created.slice(0, 10);
    const main = manifest.metrics.main;
    metric.textContent = main ? `${main.replaceAll("_", " ")} ${shown(manifest.metrics[main])}` : "";
  });
  const actions = el("td");
  if (served) actions.append(el("a", { href: `#/${model.name}/${number}` }, "Try"));
  actions.append(admin.button("Report", (button) => admin.showReport(number, button)));
  if (number !== model.promoted) actions.append(admin.button("Promote", () => admin.promote(number)));
  const roles = el("td", {}, ...badges(model, number));
  return el("tr", {}, el("th", { scope: "row" }, number), roles, saved, metric, actions);
}

/** What is told of a version; null where it is not served, and nobody may know. */
async function describe(model, number, served) {
  if (number === model.version) return model;
  if (!served && !hasKey()) return null;
  try {
    return await getJson(`${pathOf(model.name, number)}${served ? "" : "/manifest"}`, { quiet: true });
  } catch {
    return null;
  }
}

function badges(model, number) {
  const roles = [];
  if (number === model.promoted) roles.push("promoted");
  for (const [label, labelled] of Object.entries(model.labels)) if (labelled === number) roles.push(`label ${label}`);
  if (model.split[number]) roles.push(`${percent(model.split[number])} of requests`);
  if (model.shadow?.version === number) roles.push(`shadow of ${percent(model.shadow.share)}`);
  if (!roles.length && model.served.includes(number)) roles.push("promoted before");
  return roles.map((role) => el("span", { className: "badge" }, role));
}

function refusals(model) {
  const refused = Object.entries(model.refused);
  const told = refused.map(([number, why]) => el("li", {}, `Version ${number} cannot answer: ${why}`));
  return told.length ? el("ul", { className: "error plain" }, ...told) : null;
}

/** What an administrator may do; whether a key is one's, only the service can tell. */
class Admin {
  #model;
  #page;
  #said;
  #report;

  constructor(model, page, said, report) {
    this.#model = model;
    this.#page = page;
    this.#said = said;
    this.#report = report;
  }

  /** A button that is there for whoever has typed in a key. */
  button(name, act) {
    const button = el("button", { type: "button", hidden: !hasKey() }, name);
    button.addEventListener("click", () => this.#try(() => act(button)));
    return button;
  }

  toolbar() {
    if (hasKey()) return el("p", { className: "actions" }, this.button("Roll back", () => this.#rollBack()));
    const enter = el("button", { type: "button" }, "Enter an administrator’s key");
    enter.addEventListener("click", async () => {
      const why = "Promotion, rollback and reports want an administrator’s key.";
      if (await this.#page.askForKey(why)) await this.#page.reload();
    });
    return el("p", { className: "actions" }, enter);
  }

  async promote(number) {
    await this.#follow(await postJson(`${pathOf(this.#model.name, null)}/promote`, { version: number }));
  }

  async #rollBack() {
    await this.#follow(await postJson(`${pathOf(this.#model.name, null)}/rollback`, {}));
  }

  async showReport(number, button) {
    const response = await send(`${pathOf(this.#model.name, number)}/report`, { accept: "text/html" });
    const close = () => {
      this.#report.replaceChildren();
      button.focus();
    };
    const title = `Report of ${this.#model.name}, version ${number}`;
    this.#report.replaceChildren(...reportFrame(await response.text(), title, close));
    this.#report.scrollIntoView({ block: "start" });
  }

  async #try(act) {
    this.#said.classList.remove("error");
    this.#said.textContent = "";
    try {
      await act();
    } catch (problem) {
      this.#said.classList.add("error");
      this.#said.textContent = problem.message;
    }
  }

  /** Wait until the service follows what was changed, then show it. */
  async #follow(serving) {
    this.#said.textContent = `Version ${serving.promoted} is promoted; the workers are following …`;
    for (let look = 0, agreed = 0; look < LOOKS && agreed < AGREEING; look += 1) {
      const { promoted, version } = await getJson(pathOf(this.#model.name, null));
      agreed = promoted === serving.promoted && version === promoted ? agreed + 1 : 0;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    await this.#page.reload(`Version ${serving.promoted} is promoted.`);
  }
}

/**
 * A report in a frame of its own page, whose policy allows the report's styles and pictures, and no script of it.
 *
 * A document made here (`srcdoc`, `blob:`) would inherit this page's policy, which has no place for them.
 */
function reportFrame(html, title, close) {
  // The frame may run the one script of its page, and has no origin: nothing in there reaches this page.
  const frame = el("iframe", { title, src: "console/report.html" });
  frame.setAttribute("sandbox", "allow-scripts");
  // To "*", since the frame has no origin to name; it is ours, and frame-src lets it go nowhere else.
  frame.addEventListener("load", () => frame.contentWindow.postMessage(html, "*"));
  const closing = el("button", { type: "button", on: { click: close } }, "Close");
  return [el("div", { className: "title" }, el("h3", {}, title), closing), frame];
}
