// Images from outside: a file, one dropped on the page, pasted, or taken by the camera.

import { send } from "./api.js";
import { notice } from "./bar.js";
import { choose } from "./chosen.js";
import { byId } from "./dom.js";

export function inflow() {
  const file = byId("file");
  byId("open-file").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files.length) take(file.files[0], file.files[0].name);
    file.value = "";
  });
  const page = document.documentElement;
  const withFile = (event) => event.dataTransfer?.types.includes("Files");
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      if (!withFile(event)) return;
      event.preventDefault();
      page.classList.add("dropping");
    });
  }
  addEventListener(
    "dragleave",
    (event) => event.relatedTarget || page.classList.remove("dropping"),
  );
  addEventListener("drop", (event) => {
    if (!withFile(event)) return;
    event.preventDefault();
    page.classList.remove("dropping");
    take(event.dataTransfer.files[0], event.dataTransfer.files[0].name);
  });
  addEventListener("paste", (event) => {
    const image = [...(event.clipboardData?.files ?? [])].find((one) =>
      one.type.startsWith("image/"),
    );
    if (image) take(image, "The pasted image");
  });
  camera();
}

async function take(blob, name) {
  notice(`Reading ${name} …`);
  try {
    const answer = await send("api/image", blob);
    choose(answer, name);
    notice([`${name} is shown under Look.`, answer.said].filter(Boolean).join(" "));
    byId("look").scrollIntoView();
  } catch (error) {
    notice(`${name}: ${error.message}`, "bad");
  }
}

function camera() {
  const dialog = byId("camera");
  const video = byId("camera-video");
  const open = byId("open-camera");
  open.hidden = !navigator.mediaDevices?.getUserMedia;
  open.addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 640 }, facingMode: "environment" },
      });
    } catch {
      return notice(
        "The browser does not let this page use a camera; its settings say which pages may.",
        "bad",
      );
    }
    dialog.showModal();
    await video.play();
  });
  dialog.addEventListener("close", () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  });
  byId("camera-close").addEventListener("click", () => dialog.close());
  byId("camera-take").addEventListener("click", () => {
    const side = Math.min(video.videoWidth, video.videoHeight);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [side, side];
    canvas
      .getContext("2d")
      .drawImage(
        video,
        (video.videoWidth - side) / 2,
        (video.videoHeight - side) / 2,
        side,
        side,
        0,
        0,
        side,
        side,
      );
    canvas.toBlob((blob) => {
      dialog.close();
      take(blob, "The picture of the camera");
    }, "image/png");
  });
}
