// Requests to the server that served this page, and to no other.

const KEY = "convlet-live-token";

/** What stands behind #: the token, and settings of a link.  Both leave the address. */
function opened() {
  const words = new URLSearchParams(location.hash.slice(1));
  const settings = words.get("settings");
  let token = words.get("token");
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else token = sessionStorage.getItem(KEY);
  } catch {
    // a frame without storage keeps it until it is loaded again
  }
  if (words.has("token") || settings)
    history.replaceState(null, "", location.pathname + location.search);
  return { token, settings };
}

export const start = opened();

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.parameter = body?.error?.parameter;
    this.problems = body?.problems ?? body?.error?.problems ?? [];
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
