/**
 * A CSV file in, the same file with the answers appended out: in pieces, so that its size does not matter much.
 */

import { sendPatiently } from "./api.js";
import { RecordReader, cellsOf, joined, quoted, unquoted } from "./csv.js";
import { card, el, shown } from "./dom.js";
import { pathOf } from "./signature.js";

const MOST_RECORDS = 2000;
const MOST_CHARACTERS = 1_000_000;
const PREVIEWED = 5;

/** A fault of the file, with the row that it lies in. */
class FileFault extends Error {}

/** The card in which a file is scored. */
export function scoreCard(model, version) {
  const input = el("input", { type: "file", id: "file", accept: ".csv,text/csv" });
  const method = el("select", { id: "file-method" }, ...model.methods.map((each) => el("option", {}, each)));
  const drop = el(
    "div",
    { className: "drop" },
    el("label", { htmlFor: "file" }, "Drop a CSV file here, or choose one"),
    input,
    el("label", { className: "inline" }, "Append ", method),
  );
  const outcome = el("div", { id: "file-outcome" });
  let running = new AbortController();
  const start = async (file) => {
    running.abort();
    running = new AbortController();
    const asked = { model, version, method: method.value, signal: running.signal };
    await showScoring(file, asked, outcome, () => running.abort());
    // The same file may be chosen again once it was corrected.
    input.value = "";
  };
  input.addEventListener("change", () => input.files.length && start(input.files[0]));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) start(event.dataTransfer.files[0]);
  });
  return card("score", "Score a CSV file", drop, outcome);
}

async function showScoring(file, asked, outcome, cancel) {
  const progress = el("progress", { max: file.size, value: 0, ariaLabel: "Progress" });
  const said = el("p", { className: "note", role: "status" });
  const stop = el("button", { type: "button", on: { click: cancel } }, "Stop");
  outcome.replaceChildren(el("div", { className: "progress" }, progress, stop), said);
  try {
    const scored = await scoreFile(file, asked, (bytes, rows) => {
      progress.value = bytes;
      said.textContent = `${shown(rows)} rows`;
    });
    outcome.replaceChildren(...resultOf(scored, file.name));
  } catch (fault) {
    // Another file may have taken the place meanwhile.
    if (!progress.isConnected) return;
    if (asked.signal.aborted) outcome.replaceChildren(el("p", { className: "note" }, "Stopped."));
    else outcome.replaceChildren(el("p", { className: "error", role: "alert", id: "file-error" }, fault.message));
  }
}

function resultOf({ blob, rows, leftOut, preview, named }, name) {
  const save = el("button", { type: "button", className: "primary" }, "Download");
  save.addEventListener("click", () => download(blob, name.replace(/(\.csv)?$/i, ".scored.csv")));
  const done = el("p", { className: "done" }, el("span", { role: "status" }, `${shown(rows)} rows are scored. `), save);
  const left = `Left out, since the model does not know of it: ${leftOut.join(", ")}.`;
  const lines = preview.map((cells, index) => {
    return el("tr", {}, ...cells.map((cell) => el(named && index === 0 ? "th" : "td", {}, cell)));
  });
  const region = { className: "scroll", tabIndex: 0, role: "region", "aria-label": "The first rows" };
  const note = el("p", { className: "note" }, leftOut.length ? left : "");
  return [done, note, el("div", region, el("table", {}, ...lines))];
}

function download(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  // A URL keeps its blob alive; the browser has taken hold of the blob by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * Score a file.
 *
 * @param {File} file
 * @param {{model: Object, version: number|null, method: string, signal: AbortSignal}} asked
 * @param {function(number, number): void} progressed is told how many bytes are read, and how many rows are answered.
 * @returns {Promise<{blob: Blob, rows: number, leftOut: string[], preview: string[][], named: boolean}>} `leftOut`
 *     are the columns that were not sent, `named` whether the first line of `preview` holds names.
 */
async function scoreFile(file, asked, progressed) {
  const scoring = new Scoring(asked);
  const reader = new RecordReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const stream = file.stream().getReader();
  let bytes = 0;
  for (let piece = await stream.read(); !piece.done; piece = await stream.read()) {
    bytes += piece.value.length;
    await scoring.take(reader.push(decoded(decoder, piece.value)));
    progressed(bytes, scoring.rows);
  }
  await scoring.take([...reader.push(decoded(decoder)), ...reader.finish()]);
  await scoring.flush();
  if (!scoring.rows) throw new FileFault("There are no rows in this file.");
  return scoring.result();
}

function decoded(decoder, bytes) {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined });
  } catch {
    throw new FileFault("The file is not UTF-8 text.");
  }
}

/** The rows on their way through the service; what is answered is kept in blobs, which a browser may put on disk. */
class Scoring {
  rows = 0;
  #asked;
  #columns = null;
  #waiting = [];
  #characters = 0;
  #parts = [];
  #preview = [];

  constructor(asked) {
    this.#asked = asked;
  }

  async take(records) {
    for (const record of records) {
      this.#columns ??= new Columns(record, this.#asked.model.signature.inputs);
      if (this.#columns.header === record) continue;
      this.#columns.check(record, this.rows + this.#waiting.length + 1);
      this.#waiting.push(record);
      this.#characters += record.reduce((sum, cell) => sum + cell.length, 0);
      if (this.#waiting.length >= MOST_RECORDS || this.#characters >= MOST_CHARACTERS) await this.flush();
    }
  }

  async flush() {
    const records = this.#waiting;
    this.#waiting = [];
    this.#characters = 0;
    if (records.length) await this.#score(records);
  }

  result() {
    const blob = new Blob(this.#parts, { type: "text/csv" });
    const { leftOut, header } = this.#columns;
    return { blob, rows: this.rows, leftOut, preview: this.#preview, named: header !== null };
  }

  async #score(records) {
    const { model, version, method, signal } = this.#asked;
    let response;
    try {
      const body = this.#columns.bodyOf(records);
      const path = `${pathOf(model.name, version)}/${method}`;
      response = await sendPatiently(path, { method: "POST", body, type: "text/csv", accept: "text/csv", signal });
    } catch (problem) {
      // More than the service takes at once, or answers in time: each half is asked for by itself.
      if (![413, 504].includes(problem.status) || records.length === 1) throw this.#fault(problem, records);
      const middle = Math.ceil(records.length / 2);
      await this.#score(records.slice(0, middle));
      await this.#score(records.slice(middle));
      return;
    }
    this.#keep(records, cellsOf(await response.text()));
  }

  #keep(records, [names, ...answers]) {
    const answered = records.map((record, index) => [...record, ...answers[index].map(quoted)]);
    const { header } = this.#columns;
    if (header && !this.rows) answered.unshift([...header, ...freeNames(names, header).map(quoted)]);
    const shownRows = answered.slice(0, Math.max(0, PREVIEWED + 1 - this.#preview.length));
    this.#preview.push(...shownRows.map((record) => record.map(unquoted)));
    this.#parts.push(new Blob([joined(answered)]));
    this.rows += records.length;
  }

  #fault(problem, records) {
    const first = problem.errors?.[0];
    if (first?.row === undefined || records.length <= first.row) return problem;
    const column = first.column === undefined ? "" : `, column ${first.column}`;
    return new FileFault(`Row ${shown(this.rows + first.row + 1)} of the file${column}: ${first.detail}`);
  }
}

/** Which cells of the records are sent: all, but for columns that the model does not know. */
class Columns {
  header = null;
  leftOut = [];
  #kept;
  #width;

  constructor(first, inputs) {
    const names = first.map(unquoted);
    const known = new Set(inputs.map((input) => input.name));
    this.#width = first.length;
    this.#kept = [...first.keys()];
    if (!names.some((name) => known.has(name))) return;
    this.header = first;
    this.#kept = this.#kept.filter((index) => known.has(names[index]));
    this.leftOut = names.filter((name) => !known.has(name));
  }

  check(record, row) {
    if (record.length !== this.#width) {
      const has = `has ${record.length} cells, and the first line has ${this.#width}`;
      throw new FileFault(`Row ${shown(row)} of the file ${has}.`);
    }
  }

  bodyOf(records) {
    const sent = this.header ? [this.header, ...records] : records;
    return joined(sent.map((record) => this.#kept.map((index) => record[index])));
  }
}

/** Names for the answers that no column of the file has yet. */
function freeNames(names, header) {
  const taken = new Set(header.map(unquoted));
  return names.map((name) => {
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${name}_${number}`;
    taken.add(free);
    return free;
  });
}
