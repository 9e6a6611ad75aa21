// How photos come in: dropped, pasted, chosen, as a folder, or from the phone's camera.
import { html, useLayoutEffect, useRef, useState } from "./dom.js";
import { currentLanguage, fileSize, number, text } from "./texts.js";

/** Files that operating systems leave in folders. */
const LEFT_BEHIND = /^(\.|Thumbs\.db$|desktop\.ini$)/i;
const MEGAPIXEL = 1e6;

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const entries = [];
  let some;
  // A folder is read in parts, until there are no more.
  do {
    some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    entries.push(...some);
  } while (some.length);
  const order = new Intl.Collator(currentLanguage(), { numeric: true });
  entries.sort((one, other) => order.compare(one.name, other.name));
  return (await Promise.all(entries.map(filesOf))).flat();
}

/** The files of a drop or a paste, folders opened. */
async function filesIn(transfer) {
  const entries = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files = entries.map((entry) => (entry instanceof File ? [entry] : filesOf(entry)));
  return (await Promise.all(files)).flat();
}

/**
 * @param pipeline which limits are said
 * @param onFiles takes the files, in their order
 * @param small whether photos are there already
 */
export function Chooser({ pipeline, onFiles, small }) {
  const inputs = { files: useRef(null), folder: useRef(null), camera: useRef(null) };
  const [over, setOver] = useState(false);
  const take = (files) => {
    const kept = files.filter(({ name }) => !LEFT_BEHIND.test(name));
    if (kept.length) onFiles(kept);
  };

  // Before the first paint: nothing that is dropped on what is seen may be lost.
  useLayoutEffect(() => {
    const carriesFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
    async function onDrop(event) {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      setOver(false);
      take(await filesIn(event.dataTransfer));
    }
    function onDragOver(event) {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      setOver(true);
    }
    const onDragLeave = ({ relatedTarget }) => relatedTarget ?? setOver(false);
    async function onPaste({ clipboardData }) {
      take(await filesIn(clipboardData));
    }
    const listeners = { drop: onDrop, dragover: onDragOver, dragleave: onDragLeave, paste: onPaste };
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener);
    };
  }, [onFiles]);

  const button = (id, main) => html`<button
      class=${`button ${main ? "is-main" : ""}`}
      onClick=${() => inputs[id].current.click()}
    >
      ${text(`choose.${id}`)}
    </button>
    <input
      hidden
      type="file"
      ref=${inputs[id]}
      data-input=${id}
      accept=${id === "folder" ? undefined : "image/*"}
      multiple=${id !== "camera"}
      webkitdirectory=${id === "folder"}
      capture=${id === "camera" ? "environment" : undefined}
      onChange=${({ target }) => {
        take([...target.files]);
        target.value = "";
      }}
    />`;
  return html`<section class=${`chooser ${small ? "is-small" : ""} ${over ? "is-over" : ""}`}>
    ${!small &&
    html`<h2>${text("choose.title")}</h2>
      <p>${text("choose.how")}</p>`}
    <div class="buttons-row">${button("files", true)}${button("folder")}${button("camera")}</div>
    <p class="limits">
      ${text("choose.limits", {
        size: fileSize(pipeline.limits.bytes),
        pixels: number(pipeline.limits.pixels / MEGAPIXEL, 0),
      })}
      ${" "}${!small && text("choose.heic")}
    </p>
  </section>`;
}
