/**
 * What a model takes, as `GET /models/<name>` tells it, and a row of it as the body of a request.
 */

const KINDS = {
  float: "number",
  double: "number",
  int: "integer",
  uint: "integer",
  bool: "boolean",
  boolean: "boolean",
  str: "text",
  string: "text",
  category: "category",
  datetime: "date",
};
// Side of an image, and how much ink its pixels hold where no range tells.
const IMAGES = new Map([
  [64, { side: 8, ink: 16 }],
  [784, { side: 28, ink: 255 }],
]);

/** What values of an input look like: number, integer, boolean, text, category, date or any. */
export function kindOf(input) {
  const name = input.dtype.split("[")[0].replace(/\d+$/, "").toLowerCase();
  return KINDS[name] ?? "any";
}

export function isNumeric(input) {
  return ["number", "integer"].includes(kindOf(input));
}

export function takesText(signature) {
  return signature.container === "texts";
}

/** The inputs that reach the model; the others are accepted and ignored. */
export function askedInputs(signature) {
  return isPositional(signature) ? signature.inputs : signature.inputs.filter((input) => input.used);
}

/** The image that a row may be, as `{side, ink}`; null where it is none. */
export function imageOf(inputs) {
  const image = IMAGES.get(inputs.length);
  if (!image || !inputs.every(isNumeric)) return null;
  const highs = inputs.filter((input) => input.range).map((input) => input.range[1]);
  return { side: image.side, ink: Math.max(0, ...highs) || image.ink };
}

/** The path of a model, or of one of its versions. */
export function pathOf(name, version) {
  const path = `models/${encodeURIComponent(name)}`;
  return version === null ? path : `${path}/versions/${version}`;
}

/** One row as the body of a request: values by position for arrays, by name for tables. */
export function questionOf(signature, values) {
  if (takesText(signature)) return { text: values };
  if (isPositional(signature)) return { X: [values] };
  return { features: [recordOf(signature, values)] };
}

/** The rows of a question, as Python's client takes them. */
export function rowsOf(question) {
  return question.X ?? question.features ?? question.text;
}

/** The answer to the one row of a question; of several outputs a list of theirs. */
export function answerOf(document) {
  const value = document.y_pred ?? document.prediction;
  return Array.isArray(document.classes?.[0]) ? value.map((output) => output[0]) : value[0];
}

function isPositional(signature) {
  return signature.container !== "frame" && signature.inputs.every((input) => input.used);
}

function recordOf(signature, values) {
  // fromEntries defines every name, `__proto__` too, where an assignment would not.
  return Object.fromEntries(askedInputs(signature).map((input, index) => [input.name, values[index]]));
}
