// What serves, since when, and on what evidence.
import { html, useEffect, useState } from "./dom.js";
import { get } from "./api.js";
import { Table } from "./table.js";
import { list, moment, number, percent, text, textIfKnown } from "./texts.js";

const COLUMNS = ["pipeline", "state", "release", "since", "members", "calibration", "reference", "weights"];
const PAST = ["pipeline", "release", "since", "until", "images"];

function membersInWords(members) {
  const answering = Object.entries(members).filter(([, { weight }]) => weight > 0);
  return list(
    answering.map(([name, { weight, precision, temperature }]) =>
      text(temperature === null ? "operate.member" : "operate.member_calibrated", {
        name,
        share: percent(weight),
        precision,
      }),
    ),
  );
}

function calibrationInWords({ calibration, coverage } = {}) {
  const parts = [];
  if (calibration) {
    const { photos, error_before: before, error_after: after } = calibration;
    parts.push(
      text("operate.calibration", {
        n: photos,
        before: percent(before.value),
        after: percent(after.value),
        low: percent(after.low),
        high: percent(after.high),
      }),
    );
  }
  if (coverage) parts.push(text("operate.coverage", { share: percent(coverage) }));
  return parts.length ? parts.join(" ") : text("operate.uncalibrated");
}

const sinceInWords = (first) => (first ? moment(first) : text("operate.never"));

function row(pipeline, known) {
  const { title, release, profile, ready, members, typicality, weights } = pipeline;
  return [
    title,
    text(ready ? "operate.ready" : "operate.unready"),
    `${release} (${profile})`,
    known ? sinceInWords(known.first) : "",
    membersInWords(members),
    known ? calibrationInWords(known) : "",
    typicality
      ? text("operate.photos", { n: number(typicality.photos, 0), share: percent(typicality.false_alarms) })
      : text("operate.no_photos"),
    weights ?? text("facts.trained"),
  ];
}

export function Served({ pipelines }) {
  const [releases, setReleases] = useState([]);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    get("api/v1/served").then(({ releases: found }) => setReleases(found), setFailure);
  }, []);
  const of = ({ name, release }) =>
    releases.find((one) => one.pipeline === name && one.release === release);
  const past = releases.filter(({ serves }) => !serves);
  const columns = (names) => names.map((column) => text(`operate.column_${column}`));
  return html`<section class="sheet" aria-labelledby="served-title">
    <h2 id="served-title">${text("operate.served")}</h2>
    ${failure &&
    html`<p class="notice is-strong" role="alert">
      ${textIfKnown(`failure.${failure.code}`) ?? text("failure.internal")}
    </p>`}
    <${Table}
      title=${text("operate.served")}
      columns=${columns(COLUMNS)}
      rows=${pipelines.map((pipeline) => row(pipeline, of(pipeline)))}
    />
    ${past.length > 0 &&
    html`<details>
      <summary>${text("operate.past", { n: past.length })}</summary>
      <${Table}
        title=${text("operate.past", { n: past.length })}
        columns=${columns(PAST)}
        rows=${past.map(({ pipeline, release, first, last, images }) => [
          pipeline,
          release,
          moment(first),
          moment(last),
          number(images, 0),
        ])}
      />
    </details>`}
  </section>`;
}
