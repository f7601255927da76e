// Take away: model, history and report as files; a model to load; a link with the settings.

import { ask, send } from "./api.js";
import { notice } from "./bar.js";
import { byId, h } from "./dom.js";
import { state } from "./store.js";

const FILES = {
  "save-model": ["api/model", "convlet.safetensors", "The model"],
  "save-history": ["api/history", "convlet-history.csv", "The history"],
  "save-report": ["api/report", "convlet-report.html", "The report"],
};

export function away() {
  for (const [id, file] of Object.entries(FILES))
    byId(id).addEventListener("click", () => save(...file));
  const file = byId("model-file");
  byId("load-model").addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    file.value = "";
    if (chosen) await load(chosen);
  });
  byId("copy-link").addEventListener("click", copy);
}

async function save(path, name, words) {
  notice(`${words} is being made …`);
  try {
    const answer = await ask(path);
    const given = /filename="?([^";]+)"?/.exec(
      answer.headers.get("Content-Disposition") ?? "",
    )?.[1];
    const url = URL.createObjectURL(await answer.blob());
    h("a", { href: url, download: given ?? name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    notice(`${words} is saved as ${given ?? name}.`);
  } catch (error) {
    notice(error.message, "bad");
  }
}

async function load(file) {
  notice(`Loading ${file.name} …`);
  try {
    await send("api/model", file);
    notice(`${file.name} is loaded.`);
  } catch (error) {
    notice(`${file.name}: ${error.message}`, "bad");
  }
}

/** The settings as they stand in a link, and back. */
export function toLink(settings) {
  const words = JSON.stringify(settings);
  return btoa(String.fromCharCode(...new TextEncoder().encode(words)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

export function fromLink(text) {
  try {
    const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const settings = JSON.parse(
      new TextDecoder().decode(Uint8Array.from(raw, (letter) => letter.charCodeAt(0))),
    );
    return settings && typeof settings === "object" && !Array.isArray(settings) ? settings : null;
  } catch {
    return null;
  }
}

async function copy() {
  const link = `${location.origin}${location.pathname}#settings=${toLink(state.settings ?? {})}`;
  const line = byId("link");
  line.hidden = byId("link-how").hidden = false;
  line.value = link;
  try {
    await navigator.clipboard.writeText(link);
    notice("The link is copied. It holds the settings, no images, no weights and no token.");
  } catch {
    line.select();
    notice("The link stands below; the browser does not let this page copy it.");
  }
}
