// For operators and auditors: what serves, what it does now, what it costs, and the audit log.
import { html, useEffect, useState } from "./dom.js";
import { get } from "./api.js";
import { AuditSearch } from "./audit_search.js";
import { Live } from "./live.js";
import { Served } from "./served.js";
import { Table } from "./table.js";
import { number, text, textIfKnown } from "./texts.js";

const GROUPS = ["pipeline", "name", "outcome", "level", "release", "hour"];

function Usage() {
  const [by, setBy] = useState(GROUPS[0]);
  const [usage, setUsage] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    let current = true;
    setUsage(null);
    get(`api/v1/usage?by=${by}`).then(
      (found) => current && (setUsage(found), setFailure(null)),
      (error) => current && setFailure(error),
    );
    return () => (current = false);
  }, [by]);
  const money = (cost) =>
    cost === null || cost === undefined ? "–" : `${number(cost, 4)} ${usage.prices.currency}`;
  const row = (name, { images, cpu_seconds: seconds, cost, cost_per_thousand: thousand }) => [
    name,
    number(images, 0),
    number(seconds, 1),
    money(cost),
    money(thousand),
  ];
  const columns = ["images", "seconds", "cost", "thousand"];
  return html`<section class="sheet" aria-labelledby="usage-title">
    <h2 id="usage-title">${text("operate.usage")}</h2>
    <div class="choice">
      <label for="by">${text("operate.by")}</label>
      <div class="select">
        <select id="by" value=${by} onChange=${({ target }) => setBy(target.value)}>
          ${GROUPS.map((id) => html`<option key=${id} value=${id}>${text(`operate.by_${id}`)}</option>`)}
        </select>
      </div>
    </div>
    ${failure &&
    html`<p class="notice is-strong" role="alert">
      ${textIfKnown(`failure.${failure.code}`) ?? text("failure.internal")}
    </p>`}
    ${usage &&
    html`<${Table}
        title=${text("operate.usage")}
        columns=${[text(`operate.by_${by}`), ...columns.map((id) => text(`operate.column_${id}`))]}
        rows=${[
          ...usage.rows.map((one) => row(one[by] ?? "–", one)),
          row(text("operate.total"), usage.total),
        ]}
      />
      ${usage.prices.cpu_hour === null && html`<p class="note">${text("operate.no_price")}</p>`}`}
  </section>`;
}

/** @param roles the user's */
export function Operate({ pipelines, roles }) {
  const operates = roles.includes("operate");
  return html`${operates &&
    html`<${Served} pipelines=${pipelines} /><${Live} pipelines=${pipelines} /><${Usage} />`}
    ${roles.includes("audit") && html`<${AuditSearch} pipelines=${pipelines} />`}`;
}
