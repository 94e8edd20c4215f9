/**
 * A form made from a model's inputs. Every view of a row (fields, text, drawing) has the same face: `element`,
 * `values()` and `showErrors(errors)`, and tells of changes through the function that it was given.
 */

import { el } from "./dom.js";
import { cellsOf } from "./csv.js";
import { isNumeric, kindOf } from "./signature.js";

// More fields than this are searched, and filled in by pasting a row.
const MOST_SHOWN = 40;
const OTHER = "other";

/** Fields for the inputs of a table or of an array. */
export class FieldsView {
  #inputs;
  #fields = new Map();
  #values;
  #changed;
  #list = el("div", { className: "fields" });
  #note = el("p", { className: "note", role: "status" });

  /**
   * @param {Array<Object>} inputs those of the signature that reach the model.
   * @param {function(): void} changed is called after each change.
   */
  constructor(inputs, changed) {
    this.#inputs = inputs;
    this.#changed = changed;
    this.#values = inputs.map(firstValue);
    this.element = el("div", { className: "view" });
    if (inputs.length > MOST_SHOWN) this.element.append(this.#pasteBox(), this.#filterBox());
    this.element.append(this.#list, this.#note);
    this.#show("");
  }

  /** The row's values in the order of the inputs; null where a field holds what cannot be sent. */
  values() {
    return this.#values.includes(undefined) ? null : this.#values;
  }

  /** Show errors at the fields that they point to; returns those that point to none. */
  showErrors(errors) {
    for (const field of this.#fields.values()) field.showError("");
    return errors.filter((error) => {
      const index = this.#inputs.findIndex((input) => input.name === error.column);
      if (index < 0) return true;
      const field = this.#field(index);
      if (!field.element.isConnected) this.#list.prepend(field.element);
      field.showError(error.detail);
      return false;
    });
  }

  /** Fields are made when they are first shown: nobody looks at hundreds at once. */
  #field(index) {
    if (!this.#fields.has(index)) {
      const input = this.#inputs[index];
      const field = new Field(input, `field-${index}`, this.#values[index], (value) => {
        this.#values[index] = value;
        this.#changed();
      });
      this.#fields.set(index, field);
    }
    return this.#fields.get(index);
  }

  #show(filter) {
    const wanted = filter.toLowerCase();
    const found = [...this.#inputs.keys()].filter((index) => this.#inputs[index].name.toLowerCase().includes(wanted));
    const shown = found.slice(0, MOST_SHOWN);
    this.#list.replaceChildren(...shown.map((index) => this.#field(index).element));
    this.#note.textContent =
      shown.length < this.#inputs.length ? `${shown.length} of ${this.#inputs.length} inputs are shown.` : "";
  }

  #filterBox() {
    const filter = el("input", { type: "search", placeholder: "Filter the inputs", autocomplete: "off" });
    filter.ariaLabel = filter.placeholder;
    filter.addEventListener("input", () => this.#show(filter.value));
    return filter;
  }

  #pasteBox() {
    const placeholder = "5.1, 3.5, …  or  [5.1, 3.5, …]";
    const box = el("textarea", { id: "paste", rows: 3, spellcheck: false, placeholder });
    const said = el("p", { className: "note", role: "status" });
    box.addEventListener("input", () => {
      if (box.value.trim() === "") return;
      try {
        this.#fill(readRow(box.value, this.#inputs));
        said.textContent = "The row is filled in below.";
        said.classList.remove("error");
      } catch (fault) {
        said.textContent = fault.message;
        said.classList.add("error");
      }
    });
    const label = el("label", { htmlFor: box.id }, "Paste a row, as JSON or CSV");
    return el("div", { className: "paste" }, label, box, said);
  }

  #fill(values) {
    this.#values = values;
    for (const [index, field] of this.#fields) field.write(values[index]);
    this.#changed();
  }
}

/** A box for the text of a model that takes texts. */
export class TextView {
  #box = el("textarea", { id: "text", rows: 6, placeholder: "Write or paste a text" });
  #error = el("p", { className: "error", id: "text-error" });

  constructor(changed) {
    this.#box.setAttribute("aria-describedby", this.#error.id);
    this.#box.addEventListener("input", changed);
    this.element = el("div", { className: "view" }, el("label", { htmlFor: "text" }, "Text"), this.#box, this.#error);
  }

  values() {
    return this.#box.value === "" ? null : [this.#box.value];
  }

  showErrors(errors) {
    this.#error.textContent = errors.map((error) => error.detail).join("; ");
    return [];
  }
}

/** Read a pasted row: a JSON list or object, or a line of CSV, with or without the line of names before it. */
function readRow(text, inputs) {
  const row = /^\s*[[{]/.test(text) ? jsonRow(text, inputs) : csvRow(text, inputs);
  if (row.length !== inputs.length) throw new Error(`${row.length} values, and ${inputs.length} are needed.`);
  return row;
}

function jsonRow(text, inputs) {
  let row;
  try {
    row = JSON.parse(text);
  } catch {
    throw new Error("This is not JSON yet.");
  }
  if (Array.isArray(row)) return row.length === 1 && Array.isArray(row[0]) ? row[0] : row;
  const missing = inputs.find((input) => !Object.hasOwn(row, input.name));
  if (missing) throw new Error(`There is no ${JSON.stringify(missing.name)}.`);
  return inputs.map((input) => row[input.name]);
}

function csvRow(text, inputs) {
  const lines = cellsOf(text);
  const cells = lines.at(-1);
  const named = lines.length > 1 ? inputs.map((input) => cells[lines[0].indexOf(input.name)]) : [];
  const ordered = named.length && named.every((cell) => cell !== undefined) ? named : cells;
  return ordered.map((cell, index) => fromText(cell, inputs[index]));
}

function fromText(cell, input) {
  if (cell === "" || input === undefined) return null;
  if (kindOf(input) === "boolean") return cell.toLowerCase() === "true";
  const number = Number(cell);
  return isNumeric(input) && !Number.isNaN(number) ? number : cell;
}

/** One input: its name, a control for its values, a box for "missing" where that is taken, and room for an error. */
class Field {
  #control;
  #changed;
  #error;
  #missing = null;
  #body;

  constructor(input, id, value, changed) {
    this.#control = controlOf(input, id, () => this.#tell());
    this.#changed = changed;
    this.#error = el("p", { className: "error", id: `${id}-error` });
    this.#control.named.setAttribute("aria-describedby", this.#error.id);
    this.#body = el("fieldset", { className: "control" }, ...this.#control.elements);
    const label = el("label", { htmlFor: id, className: "name" }, input.name);
    label.title = input.dtype;
    this.element = el("div", { className: "field" }, label, this.#body);
    if (input.nullable) this.element.append(this.#missingBox(id));
    this.element.append(this.#error);
    this.write(value);
  }

  write(value) {
    if (value !== null) this.#control.write(value);
    if (this.#missing) this.#missing.checked = value === null;
    this.#body.disabled = this.#missing?.checked ?? false;
  }

  showError(text) {
    this.#error.textContent = text;
    this.#control.named.ariaInvalid = text ? "true" : "false";
  }

  #tell() {
    const value = this.#missing?.checked ? null : this.#control.read();
    this.showError(value === undefined ? "A number is needed here." : "");
    this.#changed(value);
  }

  #missingBox(id) {
    this.#missing = el("input", { type: "checkbox", id: `${id}-missing` });
    this.#missing.addEventListener("change", () => {
      this.#body.disabled = this.#missing.checked;
      this.#tell();
    });
    return el("label", { className: "missing" }, this.#missing, "missing");
  }
}

/**
 * The control of an input: `elements`, the one of them that the label `named`, `read()` and `write(value)`.
 * `read` returns undefined where what is there is no value.
 */
function controlOf(input, id, changed) {
  const kind = kindOf(input);
  if (input.categories) return choice(input, id, changed);
  if (isNumeric(input)) return input.range ? slider(input, id, changed) : numberBox(input, id, changed);
  if (kind === "boolean") return checkbox(id, changed);
  return textBox(kind === "date" ? "date" : "text", id, changed);
}

function numberBox(input, id, changed) {
  const step = kindOf(input) === "integer" ? "1" : "any";
  const box = el("input", { type: "number", id, step, on: { input: changed } });
  return {
    elements: [box],
    named: box,
    read: () => (Number.isNaN(box.valueAsNumber) ? undefined : box.valueAsNumber),
    write: (value) => (box.value = value),
  };
}

function slider(input, id, changed) {
  const [low, high] = input.range;
  const bar = el("input", { type: "range", min: low, max: high, step: stepOf(input) });
  bar.ariaLabel = `${input.name}, slider`;
  const number = numberBox(input, id, () => {
    // A number beyond the range is taken too; the slider stays at its end.
    bar.value = number.named.value;
    changed();
  });
  bar.addEventListener("input", () => {
    number.write(bar.value);
    changed();
  });
  return {
    ...number,
    elements: [bar, number.named],
    write: (value) => {
      number.write(value);
      bar.value = value;
    },
  };
}

function checkbox(id, changed) {
  const box = el("input", { type: "checkbox", id, on: { input: changed } });
  return { elements: [box], named: box, read: () => box.checked, write: (value) => (box.checked = value) };
}

function textBox(type, id, changed) {
  const box = el("input", { type, id, autocomplete: "off", spellcheck: false, on: { input: changed } });
  return { elements: [box], named: box, read: () => box.value, write: (value) => (box.value = value) };
}

/** A list of the categories; where others are taken too, with a control for those. */
function choice(input, id, changed) {
  const values = input.categories;
  const list = el("select", { id, on: { change: changed } });
  list.append(...values.map((value, index) => el("option", { value: index }, String(value))));
  const chosen = { elements: [list], named: list };
  chosen.read = () => values[list.value];
  chosen.write = (value) => (list.value = values.indexOf(value));
  if (kindOf(input) === "category") return chosen;

  list.append(el("option", { value: OTHER }, "another value …"));
  const other = controlOf({ ...input, categories: undefined }, `${id}-other`, changed);
  other.named.ariaLabel = `${input.name}, another value`;
  const reveal = () => (other.named.hidden = list.value !== OTHER);
  list.addEventListener("change", reveal);
  reveal();
  return {
    elements: [list, ...other.elements],
    named: list,
    read: () => (list.value === OTHER ? other.read() : chosen.read()),
    write: (value) => {
      if (values.includes(value)) {
        chosen.write(value);
      } else {
        list.value = OTHER;
        other.write(value);
      }
      reveal();
    },
  };
}

/** Where a form starts: in the middle of what is usual. */
function firstValue(input) {
  if (input.categories) return input.categories[0] ?? null;
  const kind = kindOf(input);
  if (kind === "boolean") return false;
  if (kind === "date") return new Date().toISOString().slice(0, 10);
  if (!isNumeric(input)) return "";
  if (!input.range) return 0;
  const [low, high] = input.range;
  const step = stepOf(input);
  // Rounded once more: steps add up to 0.30000000000000004.
  return Number((low + Math.round((high - low) / 2 / step) * step).toPrecision(12));
}

/** A power of ten with a hundred to a thousand steps in the range; whole numbers go by one at least. */
function stepOf(input) {
  const [low, high] = input.range;
  const step = 10 ** Math.floor(Math.log10((high - low) / 100));
  return kindOf(input) === "integer" ? Math.max(1, step) : step;
}
