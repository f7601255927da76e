// Draw: a drawing, what the network sees of it, and what it takes it for while it is drawn.

import { newest, post } from "./api.js";
import { greatest, pixels, toBase64 } from "./arrays.js";
import { announce, notice } from "./bar.js";
import { bars } from "./bars.js";
import { choose } from "./chosen.js";
import { byId, say } from "./dom.js";
import { labelled } from "./labelled.js";
import { percent } from "./letters.js";
import { pad } from "./pad.js";
import { paint } from "./picture.js";
import { className, classCount, on } from "./store.js";

const PAUSE = 60; // ms between two requests while a line grows
let drawn = null; // the last answer

export function draw() {
  const probabilities = bars(byId("drawn-probabilities"));
  const canvas = byId("pad");
  /** What the server says of the drawing.  keep: it stays there, as an image of one's own. */
  function asked(keep) {
    const { rows, columns, values } = board.ink();
    return post("api/drawing", { pixels: toBase64(values), rows, columns, prepare: true, keep });
  }
  const sent = newest(async () => {
    if (board.empty()) return forget();
    try {
      const answer = await asked(false);
      if (board.empty()) return forget();
      drawn = answer;
      show();
    } catch (error) {
      say(byId("drawn-words"), error.message);
    }
  }, PAUSE);
  const board = pad(canvas, byId("pad-cursor"), sent);

  function forget() {
    drawn = null;
    byId("prepared").width = byId("prepared").height = 1; // it keeps its square
    probabilities(Array.from({ length: classCount() }, () => 0));
    say(byId("drawn-words"), "Draw something that it knows.");
    for (const id of ["drawn-look", "drawn-keep"]) byId(id).setAttribute("aria-disabled", "true");
  }

  function show() {
    paint(byId("prepared"), pixels(drawn.pixels, drawn.shape));
    probabilities(drawn.probabilities);
    const best = greatest(drawn.probabilities);
    const words = `Taken for ${className(best)}, ${percent(drawn.probabilities[best], 0)}.`;
    say(byId("drawn-words"), words);
    say(byId("drawn-said"), drawn.said ?? "");
    announce(words);
    for (const id of ["drawn-look", "drawn-keep"]) byId(id).setAttribute("aria-disabled", "false");
  }

  byId("pad-clear").addEventListener("click", board.clear);
  byId("pad-undo").addEventListener("click", board.undo);
  byId("drawn-look").addEventListener("click", async () => {
    try {
      choose(await asked(true), "your drawing");
      byId("look").scrollIntoView();
    } catch (error) {
      notice(error.message, "bad");
    }
  });
  labelled(() => asked(true), board.clear);
  on("state", () => (drawn ? sent() : forget()));
  on("epoch status", () => drawn && sent());
  forget();
}
