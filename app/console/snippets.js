/**
 * The call that the page makes, as code to copy. Names and values are a stranger's: each is quoted for where it stands.
 */

/** Quote for a POSIX shell: nothing is special between single quotes, but the quote itself. */
export function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Write a JSON value as Python. JSON's strings and numbers are Python's too; its words are not. */
export function pythonOf(value) {
  if (value === null || Number.isNaN(value)) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  if (typeof value === "object") {
    const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${pythonOf(member)}`);
    return `{${members.join(", ")}}`;
  }
  return JSON.stringify(value);
}

/**
 * A call by curl.
 *
 * @param {string} url of the method that is asked.
 * @param {Object} question the body.
 * @param {boolean} keyed whether a key is sent; it is named, and never written out.
 */
export function curlCall(url, question, keyed) {
  const lines = [`curl ${shellQuoted(url)}`, "-H 'Content-Type: application/json'"];
  if (keyed) lines.push('-H "Authorization: Bearer $MAAS_KEY"');
  lines.push(`-d ${shellQuoted(JSON.stringify(question))}`);
  return lines.join(" \\\n  ");
}

/** The same call by maas_client.py. */
export function pythonCall(root, name, version, rows, keyed) {
  const key = keyed ? ', key=os.environ["MAAS_KEY"]' : "";
  const which = `model=${JSON.stringify(name)}${version === null ? "" : `, version=${version}`}`;
  return [
    ...(keyed ? ["import os", ""] : []),
    "from maas_client import Client",
    "",
    `with Client(${JSON.stringify(root)}${key}) as client:`,
    `    print(client.predict(${pythonOf(rows)}, ${which}))`,
  ].join("\n");
}
