// Live figures of a gateway, out of the metrics that Prometheus reads, too.
import { html, useEffect, useRef, useState } from "./dom.js";
import { getText } from "./api.js";
import { Table } from "./table.js";
import { moment, number, percent, text, textIfKnown } from "./texts.js";

const EVERY_MS = 5000;
/** Rates are of this time, or of as long as the page has been looking. */
const WINDOW_MS = 60_000;
const SLOW_SHARE = 0.95;
const COLUMNS = ["pipeline", "answered", "recent", "waiting", "slowest", "failed", "uncertain", "atypical"];

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

/** The samples of Prometheus' text format: name, labels and value of each. */
function samplesIn(metrics) {
  const samples = [];
  for (const line of metrics.split("\n")) {
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (!name) continue;
    const pairs = [...labels.matchAll(LABEL)].map(([, label, written]) => [
      label,
      written.replace(/\\[n"\\]/g, (mark) => ESCAPED[mark]),
    ]);
    samples.push({ name, labels: Object.fromEntries(pairs), value: value === "+Inf" ? Infinity : Number(value) });
  }
  return samples;
}

class Reading {
  constructor(metrics) {
    this.at = Date.now();
    this.samples = samplesIn(metrics);
    this.started = this.sum("gateway_start_time_seconds");
  }

  of(name, wanted) {
    return this.samples.filter((sample) => sample.name === name && wanted(sample.labels));
  }

  /** The sum over the samples of a name that a test lets pass. */
  sum(name, wanted = () => true) {
    return this.of(name, wanted).reduce((total, { value }) => total + value, 0);
  }

  has(name) {
    return this.samples.some((sample) => sample.name === name);
  }
}

/** The time within which most of what came between two readings was answered: a bucket's bound. */
function slowest(earlier, latest, pipeline) {
  const buckets = (reading) =>
    new Map(
      reading
        .of("gateway_request_seconds_bucket", (labels) => labels.pipeline === pipeline)
        .map(({ labels, value }) => [labels.le === "+Inf" ? Infinity : Number(labels.le), value]),
    );
  const before = buckets(earlier);
  const grown = [...buckets(latest)].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]);
  const all = Math.max(0, ...grown.map(([, count]) => count));
  if (!all) return text("live.none");
  const [bound] = grown.sort(([one], [other]) => one - other).find(([, count]) => count >= all * SLOW_SHARE);
  if (bound === Infinity) return text("live.longer");
  const digits = String(bound).split(".")[1]?.length ?? 0;
  return text("live.within", { n: number(bound, digits) });
}

const share = (some, all) => (all ? percent(some / all) : text("live.none"));

function row({ name: pipeline, title }, earlier, latest) {
  const mine = (labels) => labels.pipeline === pipeline;
  const failed = (labels) => mine(labels) && !["ok", "gone"].includes(labels.outcome);
  const grown = (name, wanted) => latest.sum(name, wanted) - earlier.sum(name, wanted);
  return [
    title,
    number(latest.sum("prediction_images_total", mine), 0),
    number(grown("prediction_images_total", mine), 0),
    number(latest.sum("gateway_requests_in_flight", mine), 0),
    slowest(earlier, latest, pipeline),
    number(grown("gateway_requests_total", failed), 0),
    share(
      latest.sum("prediction_uncertainty_total", (labels) => mine(labels) && labels.level === "high"),
      latest.sum("prediction_uncertainty_total", mine),
    ),
    share(
      latest.sum("prediction_typicality_total", (labels) => mine(labels) && labels.typical === "no"),
      latest.sum("prediction_typicality_total", mine),
    ),
  ];
}

function State({ reading }) {
  const [low, spent] = ["low", "spent"].map((state) =>
    reading.sum("gateway_budgets", (labels) => labels.state === state),
  );
  return html`<ul class="facts-list">
    <li>
      ${text(reading.sum("gateway_audit_available") ? "live.audit" : "live.audit_gone", {
        n: number(reading.sum("gateway_audit_rows_waiting"), 0),
      })}
    </li>
    <li>${text("live.connections", { n: number(reading.sum("gateway_connections"), 0) })}</li>
    ${low + spent > 0 && html`<li>${text("live.budgets", { low, spent })}</li>`}
    ${reading.has("gateway_tls_certificate_days") &&
    html`<li>
      ${text("live.certificate", {
        n: number(Math.min(...reading.of("gateway_tls_certificate_days", () => true).map(({ value }) => value)), 0),
      })}
    </li>`}
  </ul>`;
}

/** What the gateway does now; it is read again until the page is hidden, or the reader stops it. */
export function Live({ pipelines }) {
  const [readings, setReadings] = useState([]);
  const [failure, setFailure] = useState(null);
  const [running, setRunning] = useState(true);
  const reading = useRef(false);

  useEffect(() => {
    if (!running) return undefined;
    async function look() {
      if (document.hidden || reading.current) return;
      reading.current = true;
      try {
        const latest = new Reading(await getText("metrics"));
        setReadings((before) => [
          // Those of another gateway, or of before a restart, count from another beginning.
          ...before.filter(({ at, started }) => started === latest.started && latest.at - at <= WINDOW_MS),
          latest,
        ]);
        setFailure(null);
      } catch (error) {
        setFailure(error);
        if (error.status === 403) setRunning(false);
      }
      reading.current = false;
    }
    look();
    const timer = setInterval(look, EVERY_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [running]);

  const latest = readings.at(-1);
  const forbidden = failure?.status === 403;
  return html`<section class="sheet" aria-labelledby="live-title">
    <h2 id="live-title">${text("live.title")}</h2>
    ${failure &&
    html`<p class="notice is-strong" role="alert">
      ${forbidden ? text("live.forbidden") : (textIfKnown(`failure.${failure.code}`) ?? text("failure.internal"))}
    </p>`}
    ${latest &&
    html`<p>
        ${text("live.since", {
          at: moment(latest.started * 1000),
          n: number(Math.round((latest.at - readings[0].at) / 1000), 0),
        })}
      </p>
      <${Table}
        title=${text("live.title")}
        columns=${COLUMNS.map((column) => text(`live.column_${column}`))}
        rows=${pipelines.map((pipeline) => row(pipeline, readings[0], latest))}
      />
      <${State} reading=${latest} />`}
    ${!forbidden &&
    html`<button class="button" aria-pressed=${!running} onClick=${() => setRunning(!running)}>
      ${text("live.stop")}
    </button>`}
  </section>`;
}
