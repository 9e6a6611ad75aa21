// One photo and what the models say of it, or how far it is, or why there is no answer.
import { html, useMemo, useState } from "./dom.js";
import { BoxEditor } from "./box_editor.js";
import { Decision } from "./decision.js";
import { FindingForm, Kind, findingInWords } from "./finding.js";
import { Findings } from "./findings.js";
import { KeptPhoto } from "./kept_photo.js";
import { HeatMap, WhereItLooked } from "./looked.js";
import { State, retryable } from "./queue.js";
import { fileSize, number, percent, text, textIfKnown } from "./texts.js";
import { Viewer } from "./viewer.js";

function Typicality({ input }) {
  if (input.typical === false) {
    return html`<div class="notice is-strong" role="note">
      <strong><span aria-hidden="true">! </span>${text("typicality.atypical")}</strong>
      <p lang="en">${input.recommendation}</p>
    </div>`;
  }
  const words =
    input.typical === null
      ? text("typicality.unknown")
      : text("typicality.typical", { share: percent(input.typicality) });
  return html`<p class="note">${words}</p>`;
}

function Quality({ warnings }) {
  if (!warnings.length) return html`<p class="note">${text("quality.none")}</p>`;
  return html`<div class="notice" role="note">
    <strong><span aria-hidden="true">! </span>${text("quality.title")}</strong>
    <ul>
      ${warnings.map(({ code, detail }) => {
        const name = textIfKnown(`quality.${code}`);
        return html`<li key=${code}>${name && `${name}: `}<span lang="en">${detail}</span></li>`;
      })}
    </ul>
  </div>`;
}

function Facts({ answer }) {
  const facts = {
    pipeline: answer.pipeline,
    release: answer.release,
    weights: answer.weights ?? text("facts.trained"),
    threshold: answer.threshold === undefined ? null : number(answer.threshold),
    preprocessing: answer.preprocessing,
    time: text("facts.milliseconds", { n: number(answer.processing_time_ms, 0) }),
    prediction: answer.prediction_id,
    request: answer.request_id,
  };
  const members = Object.entries(answer.models ?? answer.members);
  return html`<details class="facts">
    <summary>${text("facts.title")}</summary>
    <dl>
      ${Object.entries(facts)
        .filter(([, value]) => value)
        .map(([id, value]) => html`<div key=${id}><dt>${text(`facts.${id}`)}</dt><dd>${value}</dd></div>`)}
      ${members.map(
        ([name, { version, sha256 }]) => html`<div key=${name}>
          <dt>${text("facts.member", { name })}</dt>
          <dd>${text("facts.version", { version })} <code>${sha256}</code></dd>
        </div>`,
      )}
    </dl>
  </details>`;
}

/** Says that an answer is one that was given before. */
function Replayed({ photo, queue }) {
  return html`<div class="notice" role="note">
    <p>${text("replayed.note")}</p>
    <button class="button" onClick=${() => queue.askAnew(photo.id)}>${text("replayed.anew")}</button>
  </div>`;
}

/** What is right, by whoever sees it: sent, it is one more entry, and overwrites none. */
function Correction({ photo, queue, editing, onEditing }) {
  const { id, corrected } = photo;
  function onSent(finding) {
    queue.change(id, { corrected: finding });
    onEditing(null);
  }
  return html`<section aria-labelledby="correction-title">
    <h3 id="correction-title" class="part-title">${text("correction.title")}</h3>
    ${corrected &&
    html`<p role="status">
      <span aria-hidden="true">✓ </span>${text("correction.sent", { finding: findingInWords(corrected) })}
    </p>`}
    ${editing
      ? html`<${FindingForm}
          photo=${photo}
          kind=${Kind.CORRECTION}
          objects=${editing.objects}
          onObjects=${(objects) => onEditing({ objects })}
          onSent=${onSent}
        >
          <button class="button" type="button" onClick=${() => onEditing(null)}>
            ${text("correction.cancel")}
          </button>
        <//>`
      : html`<button class="button" onClick=${() => onEditing({ objects: startOf(photo) })}>
          ${text(corrected ? "correction.again" : "correction.go")}
        </button>`}
  </section>`;
}

/** The boxes that a correction starts from; undefined of a classification. */
function startOf({ answer, corrected }) {
  if (corrected?.objects) return corrected.objects;
  return answer.predictions?.map(({ class: name, box, mask }) => ({
    class: name,
    box,
    ...(mask ? { mask } : {}),
  }));
}

/** The reader's own finding, beside what the models say. */
function OwnReading({ reading, answer }) {
  const own = findingInWords(reading);
  const models = findingInWords(
    answer.predictions ? { objects: answer.predictions } : { label: answer.prediction },
  );
  return html`<p class="notice">
    ${text(own === models ? "reading.agree" : "reading.differ", { own, models })}
  </p>`;
}

/** The answer stays hidden until the reader's own finding is recorded. */
function Unread({ photo, queue }) {
  const [objects, setObjects] = useState(photo.answer.predictions && []);
  const { id, answer, pipeline } = photo;
  return html`<${Viewer} photo=${photo} image=${answer.image} classes=${pipeline.classes}>
      ${objects &&
      html`<${BoxEditor}
        objects=${objects}
        onObjects=${setObjects}
        image=${answer.image}
        classes=${pipeline.classes}
      />`}
    <//>
    <article class="answer" aria-labelledby="answer-title">
      <h2 id="answer-title" class="part-title" tabindex="-1">
        ${text("reading.title", { name: photo.name })}
      </h2>
      <p class="note">${text("reading.how")}</p>
      <${FindingForm}
        photo=${photo}
        kind=${Kind.BEFORE}
        objects=${objects}
        onObjects=${setObjects}
        onSent=${(reading) => queue.change(id, { reading, revealed: true })}
      >
        <button class="button" type="button" onClick=${() => queue.change(id, { revealed: true })}>
          ${text("reading.skip")}
        </button>
      <//>
    </article>`;
}

function Answered({ photo, queue, mayCorrect }) {
  const { answer, pipeline, reading } = photo;
  const detects = answer.predictions !== undefined;
  const [shown, setShown] = useState(answer.threshold);
  const [chosen, setChosen] = useState(null);
  const [editing, setEditing] = useState(null);
  const [map, setMap] = useState(null);
  const objects = useMemo(() => {
    if (!detects) return [];
    const numbered = answer.predictions.map((object, at) => ({ ...object, number: at + 1 }));
    // At the recorded threshold all that was answered is shown, whatever is lost in rounding.
    return shown <= answer.threshold ? numbered : numbered.filter(({ score }) => score >= shown);
  }, [answer, shown]);
  return html`<${Viewer}
      photo=${photo}
      objects=${editing?.objects ? [] : objects}
      image=${answer.image}
      classes=${pipeline.classes}
      chosen=${chosen}
    >
      ${editing?.objects &&
      html`<${BoxEditor}
        objects=${editing.objects}
        onObjects=${(changed) => setEditing({ objects: changed })}
        image=${answer.image}
        classes=${pipeline.classes}
      />`}
      ${map && html`<${HeatMap} map=${map} />`}
    <//>
    <article class="answer" aria-labelledby="answer-title">
      <h2 id="answer-title" class="part-title" tabindex="-1">
        ${text("answer.title", { name: photo.name })}
      </h2>
      ${photo.replayed && html`<${Replayed} photo=${photo} queue=${queue} />`}
      ${reading && html`<${OwnReading} reading=${reading} answer=${answer} />`}
      ${answer.input.typical === false && html`<${Typicality} input=${answer.input} />`}
      ${detects
        ? html`<${Findings}
            answer=${answer}
            pipeline=${pipeline}
            objects=${objects}
            shown=${shown}
            onShown=${setShown}
            chosen=${chosen}
            onPoint=${setChosen}
          />`
        : html`<${Decision} answer=${answer} pipeline=${pipeline} />`}
      ${pipeline.explanation && html`<${WhereItLooked} photo=${photo} onShow=${setMap} />`}
      <section aria-labelledby="photo-title">
        <h3 id="photo-title" class="part-title">${text("photo.title")}</h3>
        <${Quality} warnings=${answer.quality.warnings} />
        ${answer.input.typical !== false && html`<${Typicality} input=${answer.input} />`}
        ${answer.kept !== undefined &&
        html`<${KeptPhoto} photo=${photo} queue=${queue} mayDelete=${mayCorrect} />`}
      </section>
      ${mayCorrect &&
      answer.prediction_id &&
      html`<${Correction} photo=${photo} queue=${queue} editing=${editing} onEditing=${setEditing} />`}
      <${Facts} answer=${answer} />
    </article>`;
}

function Failed({ photo, queue }) {
  const { failure, file, pipeline, id } = photo;
  const title = textIfKnown(`failure.${failure.code}`) ?? failure.title ?? text("failure.internal");
  const advice = textIfKnown(`advice.${failure.code}`);
  const sizes = { size: fileSize(file.size), limit: fileSize(pipeline.limits.bytes) };
  return html`<div class="notice is-strong" role="note">
    <strong><span aria-hidden="true">✕ </span>${title}</strong>
    ${failure.detail && html`<p lang="en">${failure.detail}</p>`}
    ${advice && html`<p>${text(`advice.${failure.code}`, sizes)}</p>`}
    ${failure.requestId && html`<p class="note">${text("failure.request", { id: failure.requestId })}</p>`}
    ${retryable(failure) &&
    html`<button class="button is-main" onClick=${() => queue.retry([id])}>${text("retry")}</button>`}
  </div>`;
}

function Pending({ photo }) {
  const { state, progress } = photo;
  return html`<p>${text(`state.${state}`, { share: percent(Math.floor(progress * 100) / 100) })}</p>
    <progress
      class="progress"
      max="1"
      value=${state === State.SENDING ? progress : undefined}
      aria-label=${text("progress.photo")}
    ></progress>`;
}

/**
 * What is known of a photo, beside the photo itself.
 * @param unread whether the answer is hidden until the reader has said their own
 * @param mayCorrect whether the user may send feedback
 */
export function Answer({ photo, queue, unread, mayCorrect }) {
  if (unread) return html`<${Unread} key=${photo.id} photo=${photo} queue=${queue} />`;
  if (photo.state === State.ANSWERED) {
    return html`<${Answered} key=${photo.id} photo=${photo} queue=${queue} mayCorrect=${mayCorrect} />`;
  }
  return html`<${Viewer} photo=${photo} classes=${photo.pipeline.classes} />
    <article class="answer" aria-labelledby="answer-title">
      <h2 id="answer-title" class="part-title" tabindex="-1">
        ${text("answer.title", { name: photo.name })}
      </h2>
      ${photo.state === State.FAILED
        ? html`<${Failed} photo=${photo} queue=${queue} />`
        : html`<${Pending} photo=${photo} />`}
    </article>`;
}
