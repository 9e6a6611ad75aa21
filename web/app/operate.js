// For operators: what serves, on what evidence, and what was asked this month at what cost.
import { html, useEffect, useState } from "./dom.js";
import { get } from "./api.js";
import { Table } from "./table.js";
import { list, number, percent, text, textIfKnown } from "./texts.js";

const GROUPS = ["pipeline", "name", "outcome", "level", "release", "hour"];

function servedRow({ title, release, profile, ready, members, typicality, weights }) {
  const answering = Object.entries(members).filter(([, { weight }]) => weight > 0);
  const described = answering.map(([name, { weight, precision, temperature }]) =>
    text(temperature === null ? "operate.member" : "operate.member_calibrated", {
      name,
      share: percent(weight),
      precision,
    }),
  );
  return [
    title,
    text(ready ? "operate.ready" : "operate.unready"),
    `${release} (${profile})`,
    list(described),
    typicality ? text("operate.photos", { n: typicality.photos }) : text("operate.no_photos"),
    weights ?? text("facts.trained"),
  ];
}

function Served({ pipelines }) {
  const columns = ["pipeline", "state", "release", "members", "reference", "weights"];
  return html`<section class="sheet" aria-labelledby="served-title">
    <h2 id="served-title">${text("operate.served")}</h2>
    <${Table}
      title=${text("operate.served")}
      columns=${columns.map((column) => text(`operate.column_${column}`))}
      rows=${pipelines.map(servedRow)}
    />
  </section>`;
}

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

export function Operate({ pipelines }) {
  return html`<${Served} pipelines=${pipelines} /><${Usage} />`;
}
