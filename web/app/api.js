// Questions to the service, on this page's own host, and the ways in which they fail.

/** No answer: what the service's problem document says, or that no service could be reached. */
export class Failure extends Error {
  constructor({ status = 0, code, title = "", detail = "", requestId = "", retryAfter = 0 }) {
    super(code);
    Object.assign(this, { status, code, title, detail, requestId, retryAfter });
  }
}

export const UNREACHABLE = "unreachable";
/** Longer than the service lets any request take. */
const PATIENCE_MS = 150_000;

let token = null;

/** What goes with every change from now on: it says that this page makes it, and no other. */
export function useToken(given) {
  token = given;
}

const change = () => (token ? { "X-CSRF-Token": token } : {});

function failureOf(status, body, retryAfter) {
  let document = {};
  try {
    document = JSON.parse(body);
  } catch {
    // A proxy in front answers in forms of its own.
  }
  return new Failure({
    status,
    code: document.code ?? (status === 401 ? "unauthorized" : "internal"),
    title: document.title,
    detail: document.detail,
    requestId: document.request_id,
    retryAfter: Number(retryAfter) || 0,
  });
}

const asJson = (response) => (response.status === 204 ? null : response.json());

async function ask(path, options, read = asJson) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  } catch {
    throw new Failure({ code: UNREACHABLE });
  }
  if (response.ok) return read(response);
  throw failureOf(response.status, await response.text(), response.headers.get("retry-after"));
}

/** Asks for JSON. */
export const get = (path, headers = {}) => ask(path, { headers });

/** Asks for text. */
export const getText = (path) => ask(path, {}, (response) => response.text());

/** Sends JSON, and answers with JSON. */
export const post = (path, document) =>
  ask(path, {
    method: "POST",
    body: JSON.stringify(document),
    headers: { "Content-Type": "application/json", ...change() },
  });

export const remove = (path) => ask(path, { method: "DELETE", headers: change() });

/** Whether the service answers at all. */
export const alive = () => get("healthz").then(() => true, () => false);

/**
 * Sends one photo, without its name.
 * @param path where it is sent
 * @param file the photo
 * @param headers further headers
 * @param onProgress takes the share that was sent, 0 to 1
 * @param signal ends it
 * @returns the answer, and whether it was given before, under the same idempotency key
 */
export function send(path, file, { headers = {}, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.timeout = PATIENCE_MS;
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries({ ...change(), ...headers })) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.upload.onload = () => onProgress(1);
    request.onload = () => {
      const { status, responseText } = request;
      const replayed = request.getResponseHeader("idempotency-replayed") === "true";
      if (status === 200) {
        try {
          resolve({ answer: JSON.parse(responseText), replayed });
        } catch {
          // Not of this service: a proxy's own page, for example.
          reject(new Failure({ status: 500, code: "internal" }));
        }
      } else reject(failureOf(status, responseText, request.getResponseHeader("retry-after")));
    };
    const lost = () => reject(new Failure({ code: UNREACHABLE }));
    request.onerror = request.ontimeout = request.onabort = lost;
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
