/**
 * The console: which models there are, and the one that the address names, as `#/<name>` or `#/<name>/<version>`.
 */

import { getJson, hasKey, setKey, whenKeyIsNeeded } from "./api.js";
import { watchTraffic } from "./chart.js";
import { card, el } from "./dom.js";
import { scoreCard } from "./score.js";
import { pathOf } from "./signature.js";
import { tryCards } from "./try.js";
import { metricsList, versionsCard } from "./versions.js";

const FILTER_FROM = 8;

const part = (id) => document.getElementById(id);
let models = [];
let reading = 0;
let askedForKey = null;

/** What the address names; without a name the first model. */
function wanted() {
  const [, name, version] = location.hash.match(/^#\/([^/]+)(?:\/(\d+))?$/) ?? [];
  return { name: name ?? models[0]?.name, version: version ? Number(version) : null };
}

/** Read the list of models, then show the wanted one. */
async function start() {
  try {
    models = (await getJson("models")).models;
    listModels();
    await openModel();
  } catch (problem) {
    part("model").replaceChildren(failure(problem));
  }
}

/** Show the wanted model from its top, and its place in the list. */
async function openModel() {
  scrollTo(0, 0);
  await showModel();
  part("model-list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

/** Show the wanted model anew; `said` is the outcome of what an administrator did. */
async function showModel(said = "") {
  const { name, version } = wanted();
  markCurrent(name);
  reading += 1;
  const mine = reading;
  if (name === undefined) {
    part("model").replaceChildren(await nothingYet());
    return;
  }
  try {
    const model = await getJson(pathOf(name, null));
    const asked = version === null ? model : { ...model, ...(await getJson(pathOf(name, version))) };
    if (mine !== reading) return;
    keepListed(model);
    const versions = versionsCard(model, { reload: showModel, askForKey });
    versions.querySelector("#versions-status").textContent = said;
    const cards = [headOf(asked, version), ...tryCards(asked, version), scoreCard(asked, version), versions];
    part("model").replaceChildren(...cards);
    document.title = `${name} · Model-as-a-Service`;
  } catch (problem) {
    if (mine === reading) part("model").replaceChildren(failure(problem));
  }
}

/** Let the list tell the version that answers by now. */
function keepListed({ name, version }) {
  const listed = models.find((model) => model.name === name);
  if (!listed || listed.version === version) return;
  listed.version = version;
  listModels();
}

function headOf(model, version) {
  const which = version === null ? `version ${model.version}` : `version ${version}, asked by its number`;
  const facts = [taskOf(model), which, `saved ${model.created.slice(0, 10)}`];
  if (model.library["scikit-learn"]) facts.push(`scikit-learn ${model.library["scikit-learn"]}`);
  return el(
    "section",
    { id: "head", className: "card", "aria-labelledby": "head-title" },
    el("h1", { id: "head-title" }, model.name),
    el("p", { className: "note" }, facts.join(" · ")),
    metricsList(model.metrics),
  );
}

function taskOf(model) {
  return model.task.replaceAll("-", " ");
}

function listModels() {
  part("model-count").textContent = models.length || "";
  part("model-filter").hidden = models.length < FILTER_FROM;
  const filter = part("model-filter").value.toLowerCase();
  const shown = models.filter(({ name }) => name.includes(filter));
  const links = shown.map((model) => {
    const told = el("span", {}, `${taskOf(model)}, v${model.version}`);
    return el("a", { href: `#/${model.name}` }, el("b", {}, model.name), told);
  });
  part("model-list").replaceChildren(...links.map((link) => el("li", {}, link)));
  markCurrent(wanted().name);
}

function markCurrent(name) {
  for (const link of part("model-list").querySelectorAll("a")) {
    if (link.querySelector("b").textContent === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** What to do where there is no model: the service itself says it. */
async function nothingYet() {
  try {
    await getJson("readyz");
    return card("nothing", "No model yet");
  } catch (problem) {
    return card("nothing", "No model yet", el("p", {}, problem.message));
  }
}

function failure(problem) {
  const again = el("button", { type: "button", on: { click: start } }, "Try again");
  const why = el("p", { className: "error", role: "alert" }, problem.message);
  return card("failure", "This cannot be shown", why, el("p", {}, again));
}

/** Let the person type in a key; resolves with whether it is there. Who asks meanwhile waits for the same answer. */
function askForKey(why) {
  askedForKey ??= new Promise((resolve) => {
    const dialog = part("key-dialog");
    part("key-why").textContent = why;
    part("key-value").value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      askedForKey = null;
      const typed = part("key-value").value.trim();
      part("key-value").value = "";
      const given = dialog.returnValue === "given";
      if (given) setKey(typed);
      part("key").textContent = hasKey() ? "Forget the key" : "Enter a key";
      resolve(given);
    }, { once: true });
    dialog.showModal();
  });
  return askedForKey;
}

function listen() {
  part("key-dialog").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    part("key-dialog").close("given");
  });
  part("key-cancel").addEventListener("click", () => part("key-dialog").close());
  part("key").addEventListener("click", async () => {
    if (hasKey()) {
      setKey("");
      part("key").textContent = "Enter a key";
      await start();
    } else if (await askForKey("It is sent with every request from here on.")) {
      await start();
    }
  });
  part("model-filter").addEventListener("input", listModels);
  addEventListener("hashchange", openModel);
  part("skip").addEventListener("click", (event) => {
    // The address names a model; it must not name a place of the page instead.
    event.preventDefault();
    part("model").focus();
  });
}

whenKeyIsNeeded(askForKey);
listen();
watchTraffic(part("traffic"), () => wanted().name);
start();
