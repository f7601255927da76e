// Requests to the server that served this page, and to no other.

const KEY = "convlet-live-token";
export const MARKED = "Some settings are wrong: they are marked.";

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // a frame without storage
  }
}

export const start = { token: stored(), settings: null };

/**
 * Take what stands behind #.  The token leaves the address at once; the settings of a link stay
 * until they are in the form: a page without a token cannot use them yet.
 */
export function takeAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  start.settings = words.get("settings") ?? start.settings;
  if (!words.has("token")) return;
  start.token = words.get("token");
  try {
    sessionStorage.setItem(KEY, start.token);
  } catch {
    // it is kept until the frame is loaded again
  }
  showAddress();
}

/** The settings of a link, once: they leave the address. */
export function takeSettings() {
  const text = start.settings;
  start.settings = null;
  showAddress();
  return text;
}

function showAddress() {
  const rest = start.settings ? `#settings=${encodeURIComponent(start.settings)}` : "";
  history.replaceState(null, "", location.pathname + location.search + rest);
}

takeAddress();

export class ApiError extends Error {
  constructor(status, body) {
    const wrong = body?.problems?.length ? MARKED : `The server answered ${status}.`;
    super(body?.error?.message ?? wrong);
    this.status = status;
    this.parameter = body?.error?.parameter;
    this.problems = body?.problems ?? [];
  }
}

/** The answer to a request, whatever its kind.  Raises ApiError, TypeError where nobody answers. */
export async function ask(path, { json, body, signal } = {}) {
  const headers = { Authorization: `Bearer ${start.token ?? ""}` };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method: json !== undefined || body !== undefined ? "POST" : "GET",
    headers,
    body: json !== undefined ? JSON.stringify(json) : body,
    signal,
    cache: "no-store",
  });
  if (!answer.ok) throw new ApiError(answer.status, await answer.json().catch(() => null));
  return answer;
}

export async function get(path, signal) {
  return (await ask(path, { signal })).json();
}

export async function post(path, json, signal) {
  return (await ask(path, { json, signal })).json();
}

export async function send(path, body) {
  return (await ask(path, { body })).json();
}

/** Of calls that come while one is on its way the last is made, `pause` ms after that. */
export function newest(work, pause = 0) {
  let busy = false;
  let waiting = null;
  return async function call(...values) {
    if (busy) {
      waiting = values;
      return;
    }
    busy = true;
    try {
      await work(...values);
    } finally {
      setTimeout(() => {
        busy = false;
        if (waiting) {
          const next = waiting;
          waiting = null;
          call(...next);
        }
      }, pause);
    }
  };
}
