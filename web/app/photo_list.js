// The photos of this visit: how far each is, and what can be done about those that failed.
import { html, useEffect, useState } from "./dom.js";
import { saveCsv } from "./csv.js";
import { Hold, State, retryable } from "./queue.js";
import { list, percent, text } from "./texts.js";
import { summary, unreliable } from "./words.js";

const MARKS = {
  [State.WAITING]: "·",
  [State.SENDING]: "↑",
  [State.ANSWERING]: "…",
  [State.ANSWERED]: "✓",
  [State.FAILED]: "✕",
};

function stateInWords({ state, progress, answer }, unread) {
  if (unread) return text("state.unread");
  if (state === State.ANSWERED) return summary(answer);
  return text(`state.${state}`, { share: percent(Math.floor(progress * 100) / 100) });
}

function Entry({ photo, chosen, unread, onChoose, queue }) {
  const { id, name, url, state, answer, failure } = photo;
  const doubtful = state === State.ANSWERED && !unread && unreliable(answer);
  const mark = doubtful ? "!" : MARKS[state];
  return html`<li class=${`entry is-${state} ${doubtful ? "is-doubtful" : ""}`}>
    <button class="entry-main" aria-current=${chosen ? "true" : undefined} onClick=${onChoose}>
      <img class="thumbnail" src=${url} alt="" loading="lazy" decoding="async" />
      <span class="entry-text">
        <span class="entry-name">${name}</span>
        <span class="entry-state">
          <span class="mark" aria-hidden="true">${mark}</span>
          ${" "}${stateInWords(photo, unread)}
        </span>
      </span>
    </button>
    ${state === State.FAILED &&
    retryable(failure) &&
    html`<button
      class="button is-small-button"
      aria-label=${text("retry.one", { name })}
      onClick=${() => queue.retry([id])}
    >
      ${text("retry")}
    </button>`}
  </li>`;
}

/** Counts down until the queue goes on. */
function Countdown({ until }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), 250);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  return html`<span aria-hidden="true">${text("hold.seconds", { n: seconds })}</span>`;
}

function HoldNotice({ hold }) {
  return html`<p class="notice is-strong" role="alert">
    ${text(`hold.${hold.why}`)}${" "}
    ${hold.why === Hold.BUSY && html`<${Countdown} until=${hold.until} />`}
  </p>`;
}

function progressInWords(photos) {
  const count = (state) => photos.filter((photo) => photo.state === state).length;
  const [answered, failed] = [count(State.ANSWERED), count(State.FAILED)];
  const parts = [text("progress.answered", { answered, n: photos.length })];
  if (failed) parts.push(text("progress.failed", { n: failed }));
  return list(parts);
}

/**
 * @param chosen id of the photo that is seen
 * @param isUnread tells whether a photo's answer is still hidden
 * @param onChoose takes an id
 */
export function PhotoList({ queue, chosen, isUnread, onChoose }) {
  const { photos, hold } = queue;
  const failed = photos.filter(({ state, failure }) => state === State.FAILED && retryable(failure));
  const done = photos.length - queue.unfinished.length;
  return html`<section class="photos" aria-labelledby="photos-title">
    <h2 id="photos-title" class="part-title">${text("photos.title")}</h2>
    <p role="status" class="progress-words">${progressInWords(photos)}</p>
    <progress
      class="progress"
      max=${photos.length}
      value=${done}
      aria-label=${text("progress.label")}
    ></progress>
    ${hold && html`<${HoldNotice} hold=${hold} />`}
    <ol class="entries">
      ${photos.map(
        (photo) => html`<${Entry}
          key=${photo.id}
          photo=${photo}
          chosen=${photo.id === chosen}
          unread=${isUnread(photo)}
          onChoose=${() => onChoose(photo.id)}
          queue=${queue}
        />`,
      )}
    </ol>
    <div class="buttons-row">
      ${failed.length > 1 &&
      html`<button class="button" onClick=${() => queue.retry(failed.map(({ id }) => id))}>
        ${text("retry.all", { n: failed.length })}
      </button>`}
      ${!photos.some(isUnread) &&
      html`<button class="button" onClick=${() => saveCsv(photos)}>${text("photos.csv")}</button>`}
      <button class="button" onClick=${() => queue.clear()}>${text("photos.clear")}</button>
    </div>
  </section>`;
}
