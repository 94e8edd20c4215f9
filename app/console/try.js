/**
 * The card in which a model is tried: a form, the live answer beside it, and the same call as code.
 */

import { Problem, hasKey, postJson, send } from "./api.js";
import { AnswerPanel } from "./answer.js";
import { card, el } from "./dom.js";
import { FieldsView, TextView } from "./form.js";
import { PadView } from "./pad.js";
import { answerOf, askedInputs, imageOf, pathOf, questionOf, rowsOf, takesText } from "./signature.js";
import { curlCall, pythonCall } from "./snippets.js";

// A slider tells of dozens of values a second.
const DEBOUNCE_MS = 120;
// Explaining may take the service a thousand times as long as answering: it is asked once the form is at rest.
const REST_MS = 300;

/**
 * Make the cards "Try it" and "Call it".
 *
 * @param {Object} model as `GET /models/<name>` tells it.
 * @param {number|null} version the one that is asked; null for whichever answers.
 */
export function tryCards(model, version) {
  const image = takesText(model.signature) ? null : imageOf(askedInputs(model.signature));
  const snippets = new Snippets(model, version);
  const panel = new AnswerPanel(image);
  const asker = new Asker(model, version, panel, snippets);
  const ways = waysToGiveRow(model.signature, image, () => asker.changed());
  const form = el("div", { className: "form" });
  const take = (way) => {
    form.replaceChildren(...(ways.length > 1 ? [tabs(ways, way, take)] : []), way.view.element);
    asker.way = way;
    asker.changed();
  };
  take(ways[0]);
  return [
    card("try", "Try it", el("div", { className: "try" }, form, panel.element)),
    card("call", "Call it", ...snippets.elements),
  ];
}

/** The ways in which a row can be given, the best one first; `empty` is said where there is nothing to ask. */
function waysToGiveRow(signature, image, changed) {
  if (takesText(signature)) {
    return [{ name: "Text", view: new TextView(changed), empty: "Write a text to get an answer." }];
  }
  const fields = new FieldsView(askedInputs(signature), changed);
  const values = { name: "Values", view: fields, empty: "A field holds no value that can be sent." };
  if (!image) return [values];
  return [{ name: "Draw", view: new PadView(image, changed), empty: "Draw a digit to get an answer." }, values];
}

function tabs(ways, current, take) {
  const buttons = ways.map((way) => {
    const button = el("button", { type: "button", "aria-pressed": String(way === current) }, way.name);
    button.addEventListener("click", () => take(way));
    return button;
  });
  return el("div", { className: "tabs", role: "group", "aria-label": "How to give a row" }, ...buttons);
}

/** Asks the model after each change; only the answer to the latest question is shown. `way` is how the row is given. */
class Asker {
  way;
  #model;
  #version;
  #panel;
  #snippets;
  #timer = 0;
  #asking = new AbortController();

  constructor(model, version, panel, snippets) {
    this.#model = model;
    this.#version = version;
    this.#panel = panel;
    this.#snippets = snippets;
  }

  changed() {
    clearTimeout(this.#timer);
    this.#asking.abort();
    const values = this.way.view.values();
    if (values === null) {
      this.#panel.wait(this.way.empty);
      return;
    }
    const question = questionOf(this.#model.signature, values);
    this.#snippets.show(question);
    this.#timer = setTimeout(() => this.#ask(question), DEBOUNCE_MS);
  }

  async #ask(question) {
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    try {
      const answer = await this.#predict(question, signal);
      await this.#explain(question, answer, signal);
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#refused(problem);
    }
  }

  /** Show errors at the inputs that they point to, and the others beside the answer. */
  #refused({ errors, message }) {
    const left = this.way.view.showErrors(errors);
    if (left.length) this.#panel.fail(left.map(told));
    else this.#panel.fail([errors.length ? "The marked input does not fit." : message]);
  }

  async #predict(question, signal) {
    const [first] = this.#model.methods;
    const started = performance.now();
    const response = await send(this.#path(first), { method: "POST", body: JSON.stringify(question), signal });
    const predicted = await response.json();
    const took = performance.now() - started;
    const probable = this.#model.methods.includes("predict_proba")
      ? await postJson(this.#path("predict_proba"), question, { signal })
      : null;
    signal.throwIfAborted();
    this.way.view.showErrors([]);
    const version = response.headers.get("X-Model-Version");
    this.#panel.show(predicted, probable, `Version ${version}, in ${took.toFixed(took < 10 ? 1 : 0)} ms`);
    return answerOf(predicted);
  }

  async #explain(question, answer, signal) {
    await rest(signal);
    try {
      const explanation = await postJson(this.#path("explain"), question, { signal });
      signal.throwIfAborted();
      this.#panel.explain(explanation, answer);
    } catch (problem) {
      // The answer stands, whatever becomes of its explanation.
      if (signal.aborted || !(problem instanceof Problem)) throw problem;
      this.#panel.cannotExplain(problem.message);
    }
  }

  #path(method) {
    return `${pathOf(this.#model.name, this.#version)}/${method}`;
  }
}

function rest(signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, REST_MS);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

function told(error) {
  return error.column === undefined ? error.detail : `${error.column}: ${error.detail}`;
}

/** The latest question as code, to copy. */
class Snippets {
  #model;
  #version;
  #curl = el("code", { id: "curl" });
  #python = el("code", { id: "python" });

  constructor(model, version) {
    this.#model = model;
    this.#version = version;
    this.elements = [block("From a shell", this.#curl), block("From Python, with maas_client.py", this.#python)];
  }

  show(question) {
    const path = `${pathOf(this.#model.name, this.#version)}/${this.#model.methods[0]}`;
    const root = new URL(".", document.baseURI).href.replace(/\/$/, "");
    this.#curl.textContent = curlCall(`${root}/${path}`, question, hasKey());
    this.#python.textContent = pythonCall(root, this.#model.name, this.#version, rowsOf(question), hasKey());
  }
}

function block(title, code) {
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    copy.textContent = (await copied(code)) ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
  const head = el("div", { className: "title" }, el("h3", {}, title), copy);
  return el("div", { className: "snippet" }, head, el("pre", { tabIndex: 0 }, code));
}

/** Copy the text of an element; where a page may not (plain http from elsewhere), select it. */
async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}
