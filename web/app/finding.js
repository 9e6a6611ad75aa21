// What a person found in a photo: a class, or boxes; sent as feedback to the photo's prediction.
import { html, useState } from "./dom.js";
import { post } from "./api.js";
import { text, textIfKnown } from "./texts.js";
import { countsInWords } from "./words.js";

/** Before the models' answer was shown, or with it in view. */
export const Kind = { BEFORE: "before", CORRECTION: "correction" };

const SIDES = ["left", "top", "right", "bottom"];
const tenth = (value) => Math.round(value * 10) / 10;

/** A box within the image, its first corner the upper left one, to a tenth of a pixel. */
export function boxWithin([x1, y1, x2, y2], { width, height }) {
  const across = [x1, x2].map((value) => Math.min(width, Math.max(0, value))).sort((a, b) => a - b);
  const down = [y1, y2].map((value) => Math.min(height, Math.max(0, value))).sort((a, b) => a - b);
  return [across[0], down[0], across[1], down[1]].map(tenth);
}

/** A finding in words: its class, or its boxes counted by class. */
export function findingInWords({ label, objects }) {
  if (label !== undefined) return label;
  if (!objects.length) return text("findings.none");
  return countsInWords(objects);
}

function ClassChoice({ classes, name }) {
  return html`<fieldset class="choices-list">
    <legend>${text("finding.label")}</legend>
    ${classes.map(
      (option) => html`<label class="option" key=${option}>
        <input type="radio" name=${name} value=${option} required /> ${option}
      </label>`,
    )}
  </fieldset>`;
}

function Box({ object, at, classes, image, onChange, onRemove }) {
  const n = at + 1;
  function move(side, value) {
    const box = [...object.box];
    box[side] = value;
    onChange({ class: object.class, box: boxWithin(box, image) });
  }
  return html`<li class="box-row">
    <strong>${n}</strong>
    <div class="select">
      <select
        aria-label=${text("finding.class_of", { n })}
        value=${object.class}
        onChange=${({ target }) => onChange({ ...object, class: target.value })}
      >
        ${classes.map(
          (name) => html`<option key=${name} value=${name} selected=${name === object.class}>${name}</option>`,
        )}
      </select>
    </div>
    <button class="button" type="button" aria-label=${text("finding.remove", { n })} onClick=${onRemove}>
      ✕
    </button>
    <div class="sides">
      ${SIDES.map(
        (side, index) => html`<label key=${side} class="side-input">
          ${text(`finding.${side}`)}
          <input
            class="input"
            type="number"
            step="any"
            min="0"
            max=${index % 2 ? image.height : image.width}
            aria-label=${text("finding.side_of", { n, side: text(`finding.${side}`) })}
            value=${object.box[index]}
            onChange=${({ target }) => move(index, Number(target.value))}
          />
        </label>`,
      )}
    </div>
  </li>`;
}

function Boxes({ objects, onObjects, classes, image }) {
  const change = (at, object) => onObjects(objects.map((one, index) => (index === at ? object : one)));
  const { width, height } = image;
  const middle = [width * 0.375, height * 0.375, width * 0.625, height * 0.625];
  const added = { class: classes[0], box: boxWithin(middle, image) };
  return html`<fieldset class="choices-list">
    <legend>${text("finding.boxes")}</legend>
    <p class="note">${text("finding.draw")}</p>
    <ol class="box-rows">
      ${objects.map(
        (object, at) => html`<${Box}
          key=${at}
          object=${object}
          at=${at}
          classes=${classes}
          image=${image}
          onChange=${(next) => change(at, next)}
          onRemove=${() => onObjects(objects.filter((_, index) => index !== at))}
        />`,
      )}
    </ol>
    <button class="button" type="button" onClick=${() => onObjects([...objects, added])}>
      ${text("finding.add")}
    </button>
  </fieldset>`;
}

/**
 * @param photo an answered one
 * @param kind when it is said
 * @param objects the boxes, of a detector; they are drawn over the photo, too
 * @param onObjects takes changed boxes
 * @param onSent takes what was recorded
 * @param children further buttons
 */
export function FindingForm({ photo, kind, objects, onObjects, onSent, children }) {
  const { answer, pipeline } = photo;
  const [failure, setFailure] = useState(null);
  const [sending, setSending] = useState(false);
  async function onSubmit(event) {
    event.preventDefault();
    const fields = new FormData(event.target);
    const finding = objects ? { objects } : { label: fields.get("label") };
    const comment = fields.get("comment").trim();
    setSending(true);
    try {
      const path = `api/v1/predictions/${encodeURIComponent(answer.prediction_id)}/feedback`;
      await post(path, { kind, ...finding, ...(comment ? { comment } : {}) });
      setFailure(null);
      onSent(finding);
    } catch (error) {
      setFailure(error);
    }
    setSending(false);
  }
  return html`<form class="finding" onSubmit=${onSubmit}>
    ${objects
      ? html`<${Boxes}
          objects=${objects}
          onObjects=${onObjects}
          classes=${pipeline.classes}
          image=${answer.image}
        />`
      : html`<${ClassChoice} classes=${pipeline.classes} name="label" />`}
    <label class="label" for="comment">${text("finding.comment")}</label>
    <textarea
      class="textarea"
      id="comment"
      name="comment"
      rows="2"
      maxlength="10000"
      aria-describedby="comment-note"
    ></textarea>
    <p id="comment-note" class="note">${text("finding.comment_note")}</p>
    ${failure &&
    html`<p class="notice is-strong" role="alert">
      ${textIfKnown(`failure.${failure.code}`) ?? failure.title}
      ${failure.detail && html` <span lang="en">${failure.detail}</span>`}
    </p>`}
    <div class="buttons-row">
      <button class="button is-main" disabled=${sending}>${text(`finding.send_${kind}`)}</button>
      ${children}
    </div>
  </form>`;
}
