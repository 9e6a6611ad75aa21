// Whether the photo of an answer is kept, and the way to delete it.
import { html, useState } from "./dom.js";
import { remove } from "./api.js";
import { text, textIfKnown } from "./texts.js";

/** Of a photo whose keeping was asked for. */
export function KeptPhoto({ photo, queue, mayDelete }) {
  const { id, answer, pipeline, deleted } = photo;
  const [failure, setFailure] = useState(null);
  async function onDelete() {
    try {
      await remove(`api/v1/predictions/${encodeURIComponent(answer.prediction_id)}/image`);
      setFailure(null);
      queue.change(id, { deleted: true });
    } catch (error) {
      setFailure(error);
    }
  }
  if (!answer.kept) return html`<p class="notice is-strong" role="note">${text("keep.failed")}</p>`;
  return html`<div class="notice">
    <p role="status">
      ${deleted ? text("keep.deleted") : text("keep.kept", { n: pipeline.keep_images.days })}
    </p>
    ${failure &&
    html`<p role="alert">${textIfKnown(`failure.${failure.code}`) ?? text("failure.internal")}</p>`}
    ${mayDelete &&
    !deleted &&
    html`<button class="button" onClick=${onDelete}>${text("keep.delete")}</button>`}
  </div>`;
}
