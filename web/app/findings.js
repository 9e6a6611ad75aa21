// The answer of a detection or a segmentation: what was found and where, in words and as a table.
import { html } from "./dom.js";
import { styleOf } from "./overlay.js";
import { percent, score, text } from "./texts.js";
import { ThresholdSlider } from "./threshold.js";
import { findingsInWords, place } from "./words.js";

/** So many findings make a sentence that is too long for large letters. */
const MANY = 4;

function Table({ objects, image, classes, chosen, onPoint }) {
  const pixels = image.width * image.height;
  return html`<div
    class="table-frame"
    tabindex="0"
    role="group"
    aria-label=${text("findings.table")}
  >
    <table class="table is-fullwidth">
      <thead>
        <tr>
          <th scope="col">${text("findings.number")}</th>
          <th scope="col">${text("findings.class")}</th>
          <th scope="col">${text("findings.score")}</th>
          <th scope="col">${text("findings.place")}</th>
          <th scope="col">${text("findings.area")}</th>
        </tr>
      </thead>
      <tbody>
        ${objects.map(
          ({ number: n, class: name, score: value, box, area }) => html`<tr
            key=${n}
            class=${n === chosen ? "is-chosen" : ""}
            onMouseEnter=${() => onPoint(n)}
            onMouseLeave=${() => onPoint(null)}
          >
            <th scope="row">
              <button
                class=${`number ${styleOf(name, classes).colour}`}
                aria-pressed=${n === chosen}
                aria-label=${text("findings.point", { n, name })}
                onClick=${() => onPoint(n === chosen ? null : n)}
              >
                ${n}
              </button>
            </th>
            <td>${name}</td>
            <td>${score(value)}</td>
            <td>${place(box, image)}</td>
            <td>${percent(area / pixels)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Distribution({ objects, classes }) {
  const count = (name) => objects.filter((object) => object.class === name).length;
  return html`<section aria-labelledby="distribution-title">
    <h3 id="distribution-title" class="part-title">${text("findings.distribution")}</h3>
    <ul class="distribution">
      ${classes.map(
        (name) => html`<li key=${name}>
          <span class=${`swatch ${styleOf(name, classes).colour}`} aria-hidden="true"></span>
          <span>${name}</span>
          <strong>${count(name)}</strong>
        </li>`,
      )}
    </ul>
  </section>`;
}

/**
 * @param objects those of the answer that are shown, with their numbers
 * @param shown the slider's threshold
 * @param chosen number of the object that is pointed at
 */
export function Findings({ answer, pipeline, objects, shown, onShown, chosen, onPoint }) {
  const { image, threshold, predictions } = answer;
  const hidden = predictions.length - objects.length;
  return html`<div class="headline">
      <p class="headline-label">${text("findings.label")}</p>
      <p class=${`headline-words ${objects.length > MANY ? "is-long" : ""}`}>${findingsInWords(objects, image)}</p>
      ${!predictions.length && html`<p>${text("findings.none_note", { share: percent(threshold) })}</p>`}
    </div>
    ${objects.length > 0 &&
    html`<${Table}
      objects=${objects}
      image=${image}
      classes=${pipeline.classes}
      chosen=${chosen}
      onPoint=${onPoint}
    />`}
    <${Distribution} objects=${objects} classes=${pipeline.classes} />
    ${predictions.length > 0 &&
    html`<${ThresholdSlider}
      recorded=${threshold}
      shown=${shown}
      minimum=${threshold}
      maximum=${Math.max(pipeline.threshold.maximum, threshold)}
      onChange=${onShown}
    >
      ${text("threshold.hidden", { n: hidden })}
    <//>`}`;
}
