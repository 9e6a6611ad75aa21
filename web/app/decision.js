// The answer of a classification: the decision, each member's score, and how far to rely on it.
import { html, useState } from "./dom.js";
import { percent, text } from "./texts.js";
import { ThresholdSlider } from "./threshold.js";
import { setInWords, unreliable } from "./words.js";

const SHOWN_CLASSES = 5;
const LEVEL_MARKS = { low: "●○○", medium: "●●○", high: "●●●" };

function Bar({ share, mark }) {
  return html`<span class="bar" aria-hidden="true">
    <span class="bar-fill" style=${{ width: `${share * 100}%` }}></span>
    ${mark !== undefined && html`<span class="bar-mark" style=${{ left: `${mark * 100}%` }}></span>`}
  </span>`;
}

function Headline({ answer, pipeline }) {
  const { prediction, confidence, threshold, uncertainty, set, coverage, calibrated } = answer;
  const doubtful = unreliable(answer);
  return html`<div class=${`headline ${doubtful ? "is-doubtful" : ""}`}>
    <p class="headline-label">${text("decision.label")}</p>
    <p class="headline-class">${prediction}</p>
    <p>
      ${text("decision.confidence", { share: percent(confidence) })}
      ${threshold !== undefined &&
      html` ${text("decision.threshold", { name: pipeline.positive, share: percent(threshold) })}`}
      ${" "}${text(calibrated ? "decision.calibrated" : "decision.uncalibrated")}
    </p>
    ${set &&
    html`<p>
      ${text(set.length ? "decision.set" : "decision.set_empty", {
        set: setInWords(set),
        share: percent(coverage),
      })}
    </p>`}
    <p class="uncertainty">
      <span aria-hidden="true">${LEVEL_MARKS[uncertainty.level]}</span>
      ${" "}<strong>${text(`level.${uncertainty.level}`)}</strong>
    </p>
    <p lang="en" class="recommendation">${uncertainty.recommendation}</p>
  </div>`;
}

function Members({ answer, pipeline, shown }) {
  const told = pipeline.positive ?? answer.prediction;
  const entries = Object.entries(answer.models);
  const says = ({ prediction, probabilities }) => {
    if (!pipeline.positive) return prediction;
    const other = pipeline.classes.find((name) => name !== pipeline.positive);
    return probabilities[pipeline.positive] >= shown ? pipeline.positive : other;
  };
  return html`<section aria-labelledby="members-title">
    <h3 id="members-title" class="part-title">${text("members.title")}</h3>
    <div class="table-frame" tabindex="0" role="group" aria-labelledby="members-title">
      <table class="table is-fullwidth">
        <thead>
          <tr>
            <th scope="col">${text("members.member")}</th>
            <th scope="col">${text("members.says")}</th>
            <th scope="col">${text("members.score", { name: told })}</th>
            <th scope="col">${text("members.weight")}</th>
          </tr>
        </thead>
        <tbody>
          ${entries.map(
            ([name, member]) => html`<tr key=${name}>
              <th scope="row">${name}</th>
              <td>${says(member)}</td>
              <td class="score">
                ${percent(member.probabilities[told] ?? 0)}
                <${Bar} share=${member.probabilities[told] ?? 0} mark=${answer.threshold && shown} />
              </td>
              <td>${percent(member.weight)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p>
      ${entries.length > 1
        ? text("members.disagreement", { share: percent(answer.uncertainty.disagreement) })
        : text("members.alone")}
    </p>
  </section>`;
}

function Classes({ answer }) {
  const [all, setAll] = useState(false);
  const sorted = Object.entries(answer.probabilities).sort(([, one], [, other]) => other - one);
  const rows = all ? sorted : sorted.slice(0, SHOWN_CLASSES);
  return html`<section aria-labelledby="classes-title">
    <h3 id="classes-title" class="part-title">${text("classes.title")}</h3>
    <ol class="classes">
      ${rows.map(
        ([name, share]) => html`<li key=${name}>
          <span class="class-name">
            ${name}${answer.set?.includes(name) ? html` <span class="tag">${text("classes.in_set")}</span>` : ""}
          </span>
          <span class="class-share">${percent(share)}</span>
          <${Bar} share=${share} />
        </li>`,
      )}
    </ol>
    ${sorted.length > SHOWN_CLASSES &&
    html`<button class="button" aria-expanded=${all} onClick=${() => setAll(!all)}>
      ${all ? text("classes.fewer") : text("classes.all", { n: sorted.length })}
    </button>`}
  </section>`;
}

export function Decision({ answer, pipeline }) {
  const recorded = answer.threshold;
  const [shown, setShown] = useState(recorded);
  const other = pipeline.classes.find((name) => name !== pipeline.positive);
  const seen = answer.probabilities[pipeline.positive] >= shown ? pipeline.positive : other;
  return html`<${Headline} answer=${answer} pipeline=${pipeline} />
    <${Members} answer=${answer} pipeline=${pipeline} shown=${shown} />
    <${Classes} answer=${answer} />
    ${recorded !== undefined &&
    html`<${ThresholdSlider}
      recorded=${recorded}
      shown=${shown}
      minimum=${pipeline.threshold.minimum}
      maximum=${pipeline.threshold.maximum}
      onChange=${setShown}
    >
      ${text("threshold.would_be", { name: seen, recorded: answer.prediction })}
    <//>`}`;
}
