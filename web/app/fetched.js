// A part of the page whose files are fetched when it is opened, as few users open it.
import { html, useEffect, useState } from "./dom.js";
import { text } from "./texts.js";

/**
 * @param load fetches the part's component
 * @param props what the component takes
 */
export function Fetched({ load, props }) {
  const [part, setPart] = useState(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    load().then((Part) => setPart({ Part }), () => setFailed(true));
  }, []);
  if (failed) {
    return html`<div class="notice is-strong is-page" role="alert">
      <strong>${text("boundary.title")}</strong>
      <p>${text("boundary.note")}</p>
    </div>`;
  }
  return part ? html`<${part.Part} ...${props} />` : html`<p role="status">${text("start.loading")}</p>`;
}
