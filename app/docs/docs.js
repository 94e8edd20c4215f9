/**
 * Shows the service's description in Swagger UI: of the model that the address names, with a key where one is needed.
 * The key is kept in the page alone, and goes along with whatever is tried.
 */

const model = document.getElementById("model");
const key = document.getElementById("key");
const note = document.getElementById("note");

/** Headers that show who asks. */
function credentials() {
  return key.value ? { Authorization: `Bearer ${key.value}` } : {};
}

/** Fetch a document of the service; returns null, and says why, where there is none. */
async function fetched(path) {
  try {
    const response = await fetch(path, { headers: credentials() });
    const content = await response.json();
    note.textContent = response.ok ? "" : content.detail;
    return response.ok ? content : null;
  } catch (fault) {
    note.textContent = `The service does not answer: ${fault.message}`;
    return null;
  }
}

/** Let the models be chosen from that the service has; without them, the one that the address names. */
async function listModels(chosen) {
  if (chosen && model.value !== chosen) model.add(new Option(chosen, chosen, false, true));
  const listed = await fetched("models");
  if (!listed) return;
  const options = listed.models.map(({ name }) => new Option(name, name, false, name === chosen));
  model.replaceChildren(model.options[0], ...options);
}

async function show() {
  const chosen = new URLSearchParams(location.search).get("model") ?? "";
  await listModels(chosen);
  const spec = await fetched(`openapi.json${chosen ? `?model=${encodeURIComponent(chosen)}` : ""}`);
  if (!spec) return;
  SwaggerUIBundle({
    spec,
    dom_id: "#description",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    docExpansion: "list",
    tryItOutEnabled: true,
    validatorUrl: null,
    requestInterceptor: (request) => Object.assign(request, { headers: { ...credentials(), ...request.headers } }),
  });
}

// Swagger UI is dark where the page says so.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

document.getElementById("choice").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = new URL(location.href);
  address.hash = "";
  if (model.value) address.searchParams.set("model", model.value);
  else address.searchParams.delete("model");
  history.replaceState(null, "", address);
  show();
});

show();
