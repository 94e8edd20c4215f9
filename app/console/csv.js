/**
 * CSV (RFC 4180) in pieces: records are found in a stream of text without holding more than one of them back.
 */

const QUOTE = '"';

/** Finds records; cells are kept as they are written, quotes and all, so that they can be passed on unchanged. */
export class RecordReader {
  #cells = [];
  #cell = "";
  #quoted = false;

  /** Return the records that are complete once `text` is read. */
  push(text) {
    const records = [];
    let start = 0;
    for (let at = 0; at < text.length; at += 1) {
      const char = text[at];
      if (char === QUOTE) {
        const opens = this.#cell === "" && at === start;
        // A doubled quote closes and opens again; a quote inside a bare cell is a character like any other.
        const reopens = (this.#cell || text[start])[0] === QUOTE;
        this.#quoted = !this.#quoted && (opens || reopens);
      } else if (!this.#quoted && (char === "," || char === "\n" || char === "\r")) {
        this.#cells.push(this.#cell + text.slice(start, at));
        this.#cell = "";
        start = at + 1;
        if (char !== ",") this.#end(records);
      }
    }
    this.#cell += text.slice(start);
    return records;
  }

  /** Return the record that no line break ended, if any. */
  finish() {
    if (this.#quoted) throw new Error("The last quote of the file is never closed.");
    const records = [];
    this.#cells.push(this.#cell);
    this.#cell = "";
    this.#end(records);
    return records;
  }

  #end(records) {
    // An empty line is no record; neither is what stands between the two halves of CR LF.
    if (this.#cells.length > 1 || this.#cells[0] !== "") records.push(this.#cells);
    this.#cells = [];
  }
}

/** Return the records of a whole text, with their cells unquoted. */
export function cellsOf(text) {
  const reader = new RecordReader();
  return [...reader.push(text), ...reader.finish()].map((record) => record.map(unquoted));
}

export function unquoted(cell) {
  return cell.startsWith(QUOTE) ? cell.slice(1, -1).replaceAll('""', QUOTE) : cell;
}

export function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll(QUOTE, '""')}"` : text;
}

/** Write records whose cells are written already. */
export function joined(records) {
  return records.map((record) => `${record.join(",")}\n`).join("");
}
