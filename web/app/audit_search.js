// The audit log for auditors: which rows, page by page, one as a whole, all of them as a file.
import { html, useLayoutEffect, useRef, useState } from "./dom.js";
import { get } from "./api.js";
import { Table } from "./table.js";
import { moment, text, textIfKnown } from "./texts.js";
import { countsInWords } from "./words.js";

const PAGE = 50;
const COLUMNS = ["at", "event", "caller", "pipeline", "release", "outcome", "answer", "id"];
const PREDICTION = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The filters of the form as the service takes them. */
function queryOf(fields) {
  const query = new URLSearchParams();
  for (const name of ["pipeline", "caller", "outcome"]) {
    const value = fields.get(name).trim();
    if (value) query.set(name, value);
  }
  for (const name of ["from", "to"]) {
    if (fields.get(name)) query.set(name, new Date(fields.get(name)).toISOString());
  }
  const id = fields.get("id").trim();
  if (id) query.set("request_id", id);
  return query;
}

function answerInWords(result) {
  if (!result) return "";
  const said = result.prediction ?? result.label;
  if (said !== undefined) return String(said);
  const found = result.predictions ?? result.objects;
  if (!Array.isArray(found)) return "";
  return found.length ? countsInWords(found) : text("findings.none");
}

function rowOf(row, onOpen) {
  const id = row.prediction_id;
  return [
    moment(row.at),
    row.event,
    row.caller.name || "–",
    row.pipeline,
    row.release ?? "",
    row.refusal ?? text("audit.ok"),
    answerInWords(row.result),
    html`<button class="button is-code" aria-label=${text("audit.open", { id })} onClick=${() => onOpen(row)}>
      <code>${id}</code>
    </button>`,
  ];
}

/** One row, with all that the log has of it. */
function WholeRow({ row, onClose }) {
  const title = useRef(null);
  // Before the browser paints, so that nobody meets the row without the focus.
  useLayoutEffect(() => title.current.focus(), [row]);
  return html`<section aria-labelledby="row-title">
    <h3 id="row-title" class="part-title" tabindex="-1" ref=${title}>
      ${text("audit.row", { id: row.prediction_id })}
    </h3>
    <pre class="whole-row" tabindex="0" role="group" aria-labelledby="row-title">
${JSON.stringify(row, null, 2)}</pre
    >
    <button class="button" onClick=${onClose}>${text("audit.close")}</button>
  </section>`;
}

function Field({ id, type = "text", list, note }) {
  return html`<div class="choice">
    <label for=${`audit-${id}`}>${text(`audit.${id}`)}</label>
    <input
      class="input"
      id=${`audit-${id}`}
      name=${id}
      type=${type}
      list=${list}
      autocomplete="off"
      spellcheck=${false}
      aria-describedby=${note}
    />
  </div>`;
}

export function AuditSearch({ pipelines }) {
  const [rows, setRows] = useState(null);
  const [next, setNext] = useState(null);
  const [query, setQuery] = useState(null);
  const [failure, setFailure] = useState(null);
  const [loading, setLoading] = useState(false);
  const [open, setOpen] = useState(null);

  async function load(asked, cursor) {
    setLoading(true);
    const wanted = new URLSearchParams(asked);
    wanted.set("limit", PAGE);
    if (cursor) wanted.set("cursor", cursor);
    try {
      const page = await get(`api/v1/audit?${wanted}`);
      setRows((before) => (cursor ? [...before, ...page.rows] : page.rows));
      setNext(page.next);
      setFailure(null);
    } catch (error) {
      setFailure(error);
    }
    setLoading(false);
  }
  /** The row of an id that the service gave; the other filters do not matter then. */
  async function loadOne(id) {
    setLoading(true);
    setNext(null);
    try {
      setRows([await get(`api/v1/predictions/${id}`)]);
      setFailure(null);
    } catch (error) {
      if (error.status === 404) setRows([]);
      setFailure(error.status === 404 ? null : error);
    }
    setLoading(false);
  }
  function onSubmit(event) {
    event.preventDefault();
    setOpen(null);
    const fields = new FormData(event.target);
    const id = fields.get("id").trim();
    if (PREDICTION.test(id)) {
      setQuery(null);
      loadOne(id);
    } else {
      const asked = queryOf(fields);
      setQuery(asked);
      load(asked, null);
    }
  }
  const exported = query && new URLSearchParams([...query, ["format", "jsonl"]]);
  return html`<section class="sheet" aria-labelledby="audit-title">
    <h2 id="audit-title">${text("audit.title")}</h2>
    <p class="note">${text("audit.note")}</p>
    <form onSubmit=${onSubmit}>
      <div class="choices">
        <div class="choice">
          <label for="audit-pipeline">${text("audit.pipeline")}</label>
          <div class="select">
            <select id="audit-pipeline" name="pipeline">
              <option value="">${text("history.all")}</option>
              ${pipelines.map(({ name, title }) => html`<option key=${name} value=${name}>${title}</option>`)}
            </select>
          </div>
        </div>
        <${Field} id="caller" />
        <${Field} id="outcome" note="audit-outcome-note" />
        <${Field} id="from" type="datetime-local" />
        <${Field} id="to" type="datetime-local" />
        <${Field} id="id" />
      </div>
      <p id="audit-outcome-note" class="note">${text("audit.outcome_note")}</p>
      <button class="button is-main" disabled=${loading}>${text("audit.search")}</button>
    </form>
    ${failure &&
    html`<p class="notice is-strong" role="alert">
      ${textIfKnown(`failure.${failure.code}`) ?? failure.title}
      ${failure.detail && html` <span lang="en">${failure.detail}</span>`}
    </p>`}
    <p role="status">
      ${loading ? text("start.loading") : rows && text(next ? "audit.count_more" : "audit.count", { n: rows.length })}
    </p>
    ${rows?.length > 0 &&
    html`<${Table}
      title=${text("audit.title")}
      columns=${COLUMNS.map((column) => text(`audit.column_${column}`))}
      rows=${rows.map((row) => rowOf(row, setOpen))}
    />`}
    <div class="buttons-row">
      ${next &&
      html`<button class="button" disabled=${loading} onClick=${() => load(query, next)}>
        ${text("history.more")}
      </button>`}
      ${rows?.length > 0 &&
      exported &&
      html`<a class="button" href=${`api/v1/audit?${exported}`} download="audit.jsonl">
        ${text("audit.download")}
      </a>`}
    </div>
    ${open && html`<${WholeRow} row=${open} onClose=${() => setOpen(null)} />`}
  </section>`;
}
