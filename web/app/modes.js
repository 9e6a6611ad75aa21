// How photos are asked about: whether the reader reads first, and whether the photos are kept.
import { html } from "./dom.js";
import { text } from "./texts.js";

/** Whether answers are hidden until the reader has recorded their own finding. */
export function ReadFirst({ on, onChange }) {
  return html`<label class="mode">
    <input type="checkbox" checked=${on} onChange=${({ target }) => onChange(target.checked)} />
    <span>${text("reading.mode")}</span>
  </label>`;
}

/** Whether the photos that are chosen next are kept: only where the pipeline may keep any. */
export function KeepPhotos({ pipeline, on, onChange }) {
  if (!pipeline.keep_images) return null;
  return html`<label class="mode">
      <input
        type="checkbox"
        id="keep"
        checked=${on}
        aria-describedby="keep-what"
        onChange=${({ target }) => onChange(target.checked)}
      />
      <span>${text("keep.mode")}</span>
    </label>
    <p id="keep-what" class="note mode-note">${text("keep.what", { n: pipeline.keep_images.days })}</p>`;
}
