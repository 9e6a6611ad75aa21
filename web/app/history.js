// One's own predictions of a pipeline with what people said of them, the newest page by page.
import { html, useEffect, useState } from "./dom.js";
import { get } from "./api.js";
import { downloadCsv } from "./csv.js";
import { findingInWords } from "./finding.js";
import { Table } from "./table.js";
import { moment, percent, text, textIfKnown } from "./texts.js";

const PAGE = 100;
const COLUMNS = ["at", "said", "confidence", "level", "before", "right", "release", "id"];
const CSV = ["prediction_id", "at", "pipeline", "release", "prediction", "confidence", "level", "before", "right"];

const said = (entry, kind) => entry.feedback.filter((one) => one.kind === kind).at(-1);
const inWords = (feedback) => (feedback ? findingInWords(feedback) : "");

function answerInWords({ prediction, detections }) {
  return detections ? findingInWords({ objects: detections }) : prediction;
}

/** Whether the last that was said of a case is another class than the models'. */
const disagrees = (entry) => {
  const right = said(entry, "correction");
  return right !== undefined && inWords(right) !== answerInWords(entry);
};

const FILTERS = {
  all: () => true,
  high: ({ level }) => level === "high",
  open: ({ feedback }) => !feedback.length,
  wrong: disagrees,
};

function rowOf(entry) {
  const { at, confidence, level, release, prediction_id: id } = entry;
  return [
    moment(at),
    answerInWords(entry),
    confidence === undefined ? "" : percent(confidence),
    level ? text(`level.${level}`) : "",
    inWords(said(entry, "before")),
    inWords(said(entry, "correction")),
    release,
    html`<code>${id}</code>`,
  ];
}

function csvOf(entry) {
  return {
    ...entry,
    prediction: entry.detections ?? entry.prediction,
    before: inWords(said(entry, "before")),
    right: inWords(said(entry, "correction")),
  };
}

export function History({ pipeline }) {
  const [cases, setCases] = useState([]);
  const [next, setNext] = useState(null);
  const [failure, setFailure] = useState(null);
  const [loading, setLoading] = useState(true);
  const [filter, setFilter] = useState("all");
  const [since, setSince] = useState("");

  async function load(after) {
    const query = new URLSearchParams({ pipeline: pipeline.name, unlabelled: true, limit: PAGE });
    if (since) query.set("since", new Date(since).toISOString());
    if (after) query.set("after", after);
    setLoading(true);
    try {
      const page = await get(`api/v1/feedback?${query}`);
      setCases((before) => (after ? [...before, ...page.cases] : page.cases));
      setNext(page.next);
      setFailure(null);
    } catch (error) {
      setFailure(error);
    }
    setLoading(false);
  }
  useEffect(() => void load(null), [pipeline.name, since]);

  const shown = cases.filter(FILTERS[filter]);
  return html`<section class="sheet" aria-labelledby="history-title">
    <h2 id="history-title">${text("history.title", { title: pipeline.title })}</h2>
    <div class="choices">
      <div class="choice">
        <label for="filter">${text("history.filter")}</label>
        <div class="select">
          <select id="filter" value=${filter} onChange=${({ target }) => setFilter(target.value)}>
            ${Object.keys(FILTERS).map(
              (id) => html`<option key=${id} value=${id}>${text(`history.${id}`)}</option>`,
            )}
          </select>
        </div>
      </div>
      <div class="choice">
        <label for="since">${text("history.since")}</label>
        <input
          class="input"
          id="since"
          type="date"
          value=${since}
          onChange=${({ target }) => setSince(target.value)}
        />
      </div>
    </div>
    ${failure &&
    html`<p class="notice is-strong" role="alert">
      ${textIfKnown(`failure.${failure.code}`) ?? text("failure.internal")}
    </p>`}
    <p role="status">
      ${loading ? text("start.loading") : text("history.count", { n: shown.length, all: cases.length })}
    </p>
    ${shown.length > 0 &&
    html`<${Table}
      title=${text("history.title", { title: pipeline.title })}
      columns=${COLUMNS.map((column) => text(`history.column_${column}`))}
      rows=${shown.map(rowOf)}
    />`}
    <div class="buttons-row">
      ${next &&
      html`<button class="button" disabled=${loading} onClick=${() => load(next)}>
        ${text("history.more")}
      </button>`}
      ${shown.length > 0 &&
      html`<button class="button" onClick=${() => downloadCsv("history.csv", CSV, shown.map(csvOf))}>
        ${text("photos.csv")}
      </button>`}
    </div>
  </section>`;
}
