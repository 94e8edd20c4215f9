/**
 * Requests to the service. The API key lives in this module's memory and nowhere else.
 */

// Too many at once, a worker that is being replaced, or one that is busy: it passes.
const WORTH_RETRYING = [429, 502, 503];
const TRIES = 4;

let key = "";
let askForKey = async () => false;

/** What the service refused (RFC 9457), or that it could not be reached. */
export class Problem extends Error {
  /** @param {{status?: number, title?: string, detail?: string, errors?: Array<Object>}} document */
  constructor(document) {
    super(document.detail ?? document.title ?? `The service answered with status ${document.status}.`);
    this.status = document.status ?? 0;
    /** The bad places, each with `detail`, and `pointer`, `row`, `column` where they are known. */
    this.errors = document.errors ?? [];
  }
}

export function setKey(value) {
  key = value;
}

export function hasKey() {
  return key !== "";
}

/** Say how a key is got where one is needed: `ask(why)` promises whether there is a new one. */
export function whenKeyIsNeeded(ask) {
  askForKey = ask;
}

/**
 * Send a request; resolves with the response where it succeeded, else rejects with a Problem.
 *
 * @param {string} path relative to the page, so that a proxy may serve it below a path.
 * @param {{method?: string, body?: string, type?: string, accept?: string, signal?: AbortSignal,
 *     quiet?: boolean}} options `quiet` requests never ask the person for a key.
 */
export async function send(path, options = {}) {
  const { method = "GET", body, type = "application/json", accept = "application/json", signal, quiet } = options;
  const headers = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = type;
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { method, body, headers, signal, cache: "no-store", credentials: "omit" });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Problem({ detail: "The service cannot be reached." });
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401 && !quiet) {
    const why = key ? `The service refused the key: ${problem.message}.` : "This service asks for an API key.";
    if (await askForKey(why)) return send(path, options);
  }
  throw problem;
}

export async function getJson(path, options = {}) {
  return (await send(path, options)).json();
}

export async function postJson(path, document, options = {}) {
  return (await send(path, { ...options, method: "POST", body: JSON.stringify(document) })).json();
}

/** Send a request that changes nothing, again where the service is busy or being restarted. */
export async function sendPatiently(path, options) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await send(path, options);
    } catch (problem) {
      if (!WORTH_RETRYING.includes(problem.status) || tried === TRIES) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** tried));
      options.signal?.throwIfAborted();
    }
  }
}

async function problemOf(response) {
  try {
    return new Problem({ status: response.status, ...(await response.json()) });
  } catch {
    return new Problem({ status: response.status });
  }
}
