// Where it looked: a map of each model over the photo, and whether hiding what it shows matters.
import { Failure, send } from "./api.js";
import { html, useEffect, useRef, useState } from "./dom.js";
import { freshKey } from "./idempotency.js";
import { turnedAlike } from "./orientation.js";
import { list, number, score, text, textIfKnown } from "./texts.js";
import { place } from "./words.js";

/** Cells that are named in words. */
const MOST_TOLD = 3;

/** The cells of a map with their place in it, the hottest first. */
function ranked({ cells }) {
  return cells
    .flatMap((row, y) => row.map((drop, x) => ({ drop, x, y })))
    .sort((one, other) => other.drop - one.drop);
}

/** How many cells the hottest tenth has, which the service hides in its check. */
const tenthOf = (cells) => Math.max(1, Math.floor((cells.length + 5) / 10));

/**
 * A map over the photo, in shares of its sides. What is strong is dense, the hottest tenth is
 * outlined and numbered, and what speaks against the class is dashed.
 * @param map of one member, as the answer has it
 */
export function HeatMap({ map }) {
  const cells = ranked(map);
  const grid = map.cells.length;
  const most = Math.max(...cells.map(({ drop }) => Math.abs(drop)));
  const hottest = cells.slice(0, tenthOf(cells)).filter(({ drop }) => drop > 0);
  const share = (at) => `${(at / grid) * 100}%`;
  const square = ({ x, y }) => ({ x, y, width: 1, height: 1 });
  return html`<svg
      class="overlay heat"
      viewBox=${`0 0 ${grid} ${grid}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      ${cells.map(
        (cell) => html`<rect
          key=${`${cell.x} ${cell.y}`}
          class=${cell.drop < 0 ? "is-against" : "is-for"}
          ...${square(cell)}
          fill-opacity=${most ? (Math.abs(cell.drop) / most) * 0.65 : 0}
          stroke-opacity=${most && cell.drop < 0 ? Math.abs(cell.drop) / most : 0}
          vector-effect="non-scaling-stroke"
        />`,
      )}
      ${hottest.map(
        (cell) => html`<g key=${`${cell.x} ${cell.y}`}>
          <rect class="casing" ...${square(cell)} fill="none" vector-effect="non-scaling-stroke" />
          <rect class="is-hottest" ...${square(cell)} fill="none" vector-effect="non-scaling-stroke" />
        </g>`,
      )}
    </svg>
    ${hottest.map(
      ({ x, y }, at) => html`<span
        key=${`${x} ${y}`}
        class="chip heat-rank"
        style=${{ left: share(x), top: share(y) }}
        aria-hidden="true"
        >${at + 1}</span
      >`,
    )}`;
}

/** "upper left (0.56), centre (0.12)": the hottest cells, and how far each lowers the score. */
function strongest(map) {
  const size = { width: map.cells.length, height: map.cells.length };
  return ranked(map)
    .filter(({ drop }) => drop > 0)
    .slice(0, MOST_TOLD)
    .map(({ drop, x, y }) => `${place([x, y, x + 1, y + 1], size)} (${number(drop)})`);
}

function Faithfulness({ map, name }) {
  const { hottest_hidden: hottest, random_hidden: random, faithful } = map.faithfulness;
  const numbers = {
    name,
    score: score(map.score),
    hottest: score(hottest),
    random: score(random),
  };
  const told = text(hottest < map.score ? "looked.lowers" : "looked.lowers_not", numbers);
  if (faithful) return html`<p>${told}</p>`;
  return html`<div class="notice" role="note">
    <strong><span aria-hidden="true">! </span>${text("looked.unfaithful")}</strong>
    <p>${told}</p>
  </div>`;
}

/** Of which member the map is shown. */
function MemberChoice({ names, member, onChoose }) {
  return html`<fieldset class="looked-members">
    <legend>${text("looked.member")}</legend>
    ${names.map(
      (name) => html`<label key=${name} class="option">
        <input
          type="radio"
          name="looked-member"
          checked=${name === member}
          onChange=${() => onChoose(name)}
        />
        ${name}
      </label>`,
    )}
  </fieldset>`;
}

/** One member's map in words. */
function MapInWords({ photo, found, member, alike }) {
  const { explanation } = found;
  const map = explanation.members[member];
  const told = strongest(map);
  const other = found.prediction !== photo.answer.prediction || found.release !== photo.answer.release;
  return html`
    ${other &&
    html`<p class="notice" role="note">
      ${text("looked.other", { name: found.prediction, release: found.release })}
    </p>`}
    <p>${text("looked.legend", { member, name: explanation.class, score: score(map.score) })}</p>
    <p>${told.length ? text("looked.strongest", { places: list(told) }) : text("looked.nowhere")}</p>
    <${Faithfulness} map=${map} name=${explanation.class} />
    ${alike === false && html`<p class="notice" role="note">${text("looked.turned")}</p>`}
  `;
}

/**
 * Asks where the models looked, when the user wants it, and shows it.
 * @param photo one of the queue's, with an answer
 * @param onShow takes the map to draw over the photo, or null
 */
export function WhereItLooked({ photo, onShow }) {
  const [state, setState] = useState({ asking: false, found: null, failure: null });
  const [shown, setShown] = useState(true);
  const [alike, setAlike] = useState(null);
  const [chosen, setChosen] = useState(null);
  const asking = useRef(null);
  const { file, pipeline } = photo;
  useEffect(() => {
    turnedAlike(file).then(setAlike);
    return () => asking.current?.abort();
  }, []);

  async function ask() {
    const controller = new AbortController();
    asking.current = controller;
    setState({ asking: true, found: null, failure: null });
    const path = `api/v1/pipelines/${encodeURIComponent(pipeline.name)}/predict/advanced?explain=true`;
    try {
      const { answer } = await send(path, file, {
        signal: controller.signal,
        headers: { "Idempotency-Key": freshKey() },
        onProgress: () => {},
      });
      if (!controller.signal.aborted) setState({ asking: false, found: answer, failure: null });
    } catch (error) {
      const failure = error instanceof Failure ? error : new Failure({ code: "internal" });
      if (!controller.signal.aborted) setState({ asking: false, found: null, failure });
    }
  }

  const { found, failure } = state;
  const { images } = pipeline.explanation;
  const names = found ? Object.keys(found.explanation.members) : [];
  const member = chosen ?? names[0];
  const map = found && shown && alike ? found.explanation.members[member] : null;
  useEffect(() => onShow(map), [map]);
  return html`<section aria-labelledby="looked-title">
    <h3 id="looked-title" class="part-title">${text("looked.title")}</h3>
    ${!found &&
    html`<p class="note">${text("looked.note", { n: images })}</p>
      <button class="button" onClick=${ask} disabled=${state.asking}>
        ${text(failure ? "retry" : "looked.go")}
      </button>`}
    ${names.length > 1 &&
    html`<${MemberChoice} names=${names} member=${member} onChoose=${setChosen} />`}
    <div role="status">
      ${state.asking && html`<p>${text("looked.asking")}</p>`}
      ${failure &&
      html`<div class="notice">
        <strong>
          <span aria-hidden="true">✕ </span>
          ${textIfKnown(`failure.${failure.code}`) ?? failure.title ?? text("failure.internal")}
        </strong>
        ${failure.detail && html`<p lang="en">${failure.detail}</p>`}
      </div>`}
      ${found &&
      html`<${MapInWords} photo=${photo} found=${found} member=${member} alike=${alike} />`}
    </div>
    ${found &&
    alike &&
    html`<button class="button" aria-pressed=${shown} onClick=${() => setShown(!shown)}>
      ${text("looked.show")}
    </button>`}
  </section>`;
}
