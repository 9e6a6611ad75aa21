// Two members, pipelines or releases on one photo, side by side, and where they differ.
import { html, useEffect, useState } from "./dom.js";
import { get } from "./api.js";
import { Chooser } from "./chooser.js";
import { ask, choicesOf, firstChoices } from "./compared.js";
import { differences } from "./differences.js";
import { text, textIfKnown } from "./texts.js";
import { Viewer } from "./viewer.js";

const SIDES = ["left", "right"];
/** Of a photo that is none of the visit's. */
const OWN = "compared";

function SideChoice({ side, value, choices, onChange }) {
  return html`<div class="choice">
    <label for=${`compare-${side}`}>${text(`compare.${side}`)}</label>
    <div class="select">
      <select id=${`compare-${side}`} value=${value} onChange=${({ target }) => onChange(target.value)}>
        ${choices.map(({ id, label }) => html`<option key=${id} value=${id} selected=${id === value}>${label}</option>`)}
      </select>
    </div>
  </div>`;
}

function Mark({ difference }) {
  return difference === null
    ? html`<span aria-hidden="true">= </span>${text("compare.same")}`
    : html`<strong><span aria-hidden="true">≠ </span>${difference}</strong>`;
}

function Table({ results }) {
  const rows = differences(...results);
  const different = rows.filter(({ difference }) => difference !== null).length;
  return html`<p role="status">${text("compare.count", { n: different, all: rows.length })}</p>
    <div class="table-frame" tabindex="0" role="group" aria-label=${text("compare.table")}>
      <table class="table is-fullwidth comparison">
        <thead>
          <tr>
            <th scope="col">${text("compare.what")}</th>
            ${results.map(({ label }, at) => html`<th key=${at} scope="col">${text(`compare.${SIDES[at]}`)}: ${label}</th>`)}
            <th scope="col">${text("compare.difference")}</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ({ id, name, left, right, difference }) => html`<tr
              key=${`${id} ${name}`}
              class=${difference === null ? "" : "is-different"}
            >
              <th scope="row">${text(`compare.row_${id}`, { name })}</th>
              <td>${left}</td>
              <td>${right}</td>
              <td><${Mark} difference=${difference} /></td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

/** The photo, of detectors with what each of them found. */
function Photos({ photo, results }) {
  const finding = results.filter(({ answer }) => answer.predictions);
  if (!finding.length) return html`<${Viewer} photo=${photo} classes=${[]} />`;
  return html`<div class="pair">
    ${finding.map(
      ({ label, answer, pipeline }, at) => html`<section key=${at} aria-label=${label}>
        <h3 class="part-title">${label}</h3>
        <${Viewer}
          photo=${photo}
          objects=${answer.predictions.map((object, index) => ({ ...object, number: index + 1 }))}
          image=${answer.image}
          classes=${pipeline.classes}
        />
      </section>`,
    )}
  </div>`;
}

/**
 * @param pipelines those that the user may ask
 * @param pipeline the one that is chosen at the head of the page
 * @param shown the photo of this visit that is seen, if any
 */
export function Compare({ pipelines, pipeline, shown }) {
  const [states, setStates] = useState([]);
  const [unlisted, setUnlisted] = useState(null);
  const choices = choicesOf(pipelines, states);
  const [sides, setSides] = useState(() => firstChoices(pipeline));
  const [photo, setPhoto] = useState(null);
  const [results, setResults] = useState(null);
  const [failure, setFailure] = useState(null);
  const [asking, setAsking] = useState(false);
  useEffect(() => {
    setSides(firstChoices(pipeline));
    setResults(null);
  }, [pipeline.name]);
  const lookAtReleases = () => void get("api/v1/releases").then(({ releases }) => setStates(releases), setUnlisted);
  useEffect(lookAtReleases, []);
  useEffect(() => () => photo?.id === OWN && URL.revokeObjectURL(photo.url), [photo]);

  const chosen = sides.map((side) => choices.find(({ id }) => id === side) ?? choices[0]);
  function take(next) {
    setPhoto(next);
    setResults(null);
    setFailure(null);
  }
  function onSide(at, id) {
    setSides(sides.map((side, index) => (index === at ? id : side)));
    setResults(null);
  }
  async function onCompare() {
    setAsking(true);
    setFailure(null);
    setResults(null);
    try {
      // One after the other: each may need all that the caller may have under way.
      const found = [];
      for (const side of chosen) found.push({ ...side, ...(await ask(photo.file, side)) });
      setResults(found);
    } catch (error) {
      setFailure(error);
      if (error.code === "release_unknown") lookAtReleases();
    }
    setAsking(false);
  }
  return html`<section class="sheet" aria-labelledby="compare-title">
    <h2 id="compare-title">${text("compare.title")}</h2>
    <p>${text("compare.how")}</p>
    <div class="choices">
      ${SIDES.map(
        (side, at) => html`<${SideChoice}
          key=${side}
          side=${side}
          value=${chosen[at].id}
          choices=${choices}
          onChange=${(id) => onSide(at, id)}
        />`,
      )}
    </div>
    ${unlisted && html`<p class="note">${text(unlisted.status === 403 ? "compare.forbidden" : "compare.unlisted")}</p>`}
    <${Chooser}
      pipeline=${chosen[0].pipeline}
      onFiles=${([file]) => take({ id: OWN, file, name: file.name || "photo", url: URL.createObjectURL(file) })}
      small
    />
    <div class="buttons-row">
      ${shown &&
      photo?.id !== shown.id &&
      html`<button class="button" onClick=${() => take(shown)}>${text("compare.shown", { name: shown.name })}</button>`}
      ${photo &&
      html`<button class="button is-main" disabled=${asking} onClick=${onCompare}>
        ${text("compare.go", { name: photo.name })}
      </button>`}
    </div>
    ${asking && html`<p role="status">${text("state.answering")}</p>`}
    ${failure &&
    html`<p class="notice is-strong" role="alert">
      ${textIfKnown(`failure.${failure.code}`) ?? (failure.title || text("failure.internal"))}
      ${failure.detail && html` <span lang="en">${failure.detail}</span>`}
    </p>`}
    ${results && html`<${Table} results=${results} /><${Photos} photo=${photo} results=${results} />`}
  </section>`;
}
