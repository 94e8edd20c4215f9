/**
 * What the model answered: the label or the number, how probable each class is, and what each input adds.
 */

import { el, percent, shown } from "./dom.js";
import { contributionMap } from "./pad.js";
import { answerOf } from "./signature.js";

const MOST_CLASSES = 10;
const MOST_INPUTS = 12;
const MOST_VALUES = 24;

export class AnswerPanel {
  #label = el("output", { id: "answer", ariaLive: "polite" });
  #note = el("p", { className: "note", id: "answer-note" });
  #errors = el("div", { className: "error", id: "answer-errors", role: "alert" });
  #probabilities = el("div", { id: "probabilities" });
  #contributions = el("div", { id: "contributions" });
  #image;

  /** @param {{side: number}|null} image the image that the inputs are, if they are one. */
  constructor(image) {
    this.#image = image;
    this.element = el(
      "div",
      { className: "answer" },
      el("h3", {}, "Answer"),
      this.#label,
      this.#note,
      this.#errors,
      this.#probabilities,
      this.#contributions,
    );
  }

  /** Say that there is nothing to ask yet, and what to do about it. */
  wait(told) {
    this.#clear();
    this.#label.textContent = "–";
    this.#note.textContent = told;
  }

  /**
   * Show an answer.
   *
   * @param {Object} predicted the reply of predict, or of the model's first method.
   * @param {Object|null} probable the reply of predict_proba, where the model has it.
   * @param {string} by which version answered, in how many milliseconds.
   */
  show(predicted, probable, by) {
    this.#errors.replaceChildren();
    this.element.classList.remove("stale");
    const answer = answerOf(predicted);
    this.#label.textContent = Array.isArray(answer) ? listed(answer) : shown(answer);
    this.#label.classList.toggle("long", this.#label.textContent.length > 24);
    this.#note.textContent = by;
    this.#probabilities.replaceChildren(...(probable ? groupsOf(probable) : []));
  }

  /** Show what each input adds, or say quietly why that is not known. */
  explain(explanation, answer) {
    this.#contributions.replaceChildren(
      el("h4", {}, "What each input adds"),
      ...explained(explanation, answer, this.#image),
    );
  }

  cannotExplain(why) {
    this.#contributions.replaceChildren(el("p", { className: "note" }, `No explanation: ${why}`));
  }

  /** Show errors that no field shows; what was answered before is faded. */
  fail(texts) {
    this.element.classList.add("stale");
    // In the alert, and not the alert itself: it would be no list to a screen reader.
    this.#errors.replaceChildren(el("ul", { className: "plain" }, ...texts.map((text) => el("li", {}, text))));
  }

  #clear() {
    this.element.classList.remove("stale");
    for (const part of [this.#errors, this.#probabilities, this.#contributions]) part.replaceChildren();
  }
}

function listed(values) {
  const told = values.slice(0, MOST_VALUES).map(shown).join(", ");
  return values.length > MOST_VALUES ? `${told}, … (${values.length} values)` : told;
}

/** The probabilities of each output as bars, the most probable first. */
function groupsOf(document) {
  const answer = answerOf(document);
  const several = Array.isArray(document.classes?.[0]);
  const classes = document.classes ?? answer.map((_, index) => index);
  const outputs = several ? classes.map((each, index) => [each, answer[index]]) : [[classes, answer]];
  return outputs.flatMap(([labels, probabilities], index) => [
    el("h4", {}, several ? `Probabilities of output ${index + 1}` : "Probabilities"),
    probabilityBars(labels, probabilities),
  ]);
}

function probabilityBars(labels, probabilities) {
  const ordered = labels.map((label, index) => [label, probabilities[index] ?? 0]).sort((a, b) => b[1] - a[1]);
  const rows = ordered.slice(0, MOST_CLASSES).map(([label, probability]) => {
    const bar = el("span", { className: "fill" });
    bar.style.width = `${100 * probability}%`;
    return barRow(label, el("span", { className: "bar", "aria-hidden": "true" }, bar), percent(probability));
  });
  return barList(rows, ordered.length - rows.length, "classes");
}

/** The contributions to the class that was answered, else to the first output, and of how many that is the first. */
function explained(explanation, answer, image) {
  const column = Math.max(0, (explanation.classes ?? []).indexOf(answer));
  const of = (value) => (Array.isArray(value) ? value[column] : value);
  const named = Object.entries(explanation.contributions[0]).map(([name, value]) => [name, of(value)]);
  const outputs = [explanation.base_value].flat().length;
  const told =
    explanation.class ??
    explanation.classes?.[column] ??
    (outputs > 1 ? `output 1 of ${outputs}, the only one that is shown` : undefined);
  const output = explanation.output.replace("_", " ");
  const sum = `From ${shown(of(explanation.base_value))} to ${shown(of(explanation.value[0]))}: the ${output}${
    told === undefined ? "" : ` of ${told}`
  }.`;
  if (image) {
    const map = contributionMap(named.map(([, added]) => added), image.side);
    return [map, el("p", { className: "note" }, `${sum} Blue adds to it, orange takes away.`)];
  }
  return [contributionBars(named), el("p", { className: "note" }, sum)];
}

function contributionBars(named) {
  const ordered = named.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const largest = Math.abs(ordered[0]?.[1] ?? 0) || 1;
  const rows = ordered.slice(0, MOST_INPUTS).map(([name, added]) => {
    const bar = el("span", { className: added < 0 ? "fill negative" : "fill positive" });
    bar.style.width = `${(50 * Math.abs(added)) / largest}%`;
    const sign = added < 0 ? "−" : "+";
    const track = el("span", { className: "bar signed", "aria-hidden": "true" }, bar);
    return barRow(name, track, sign + shown(Math.abs(added)));
  });
  return barList(rows, ordered.length - rows.length, "inputs");
}

function barRow(name, bar, value) {
  const told = el("bdi", { className: "name" }, String(name));
  told.title = String(name);
  return el("li", {}, told, bar, el("span", { className: "value" }, value));
}

function barList(rows, left, what) {
  const list = el("ul", { className: "bars plain" }, ...rows);
  return left > 0 ? el("div", {}, list, el("p", { className: "note" }, `and ${left} more ${what}`)) : list;
}
