// The answers of this visit as a CSV file, with a row for each photo.
const COLUMNS = [
  "file",
  "status",
  "pipeline",
  "release",
  "prediction",
  "confidence",
  "set",
  "uncertainty",
  "disagreement",
  "count",
  "predictions",
  "typical",
  "warnings",
  "threshold",
  "weights",
  "request_id",
  "prediction_id",
  "error",
];

/** Quoted, and so that no spreadsheet takes it for a formula. */
function cell(value) {
  if (value === undefined || value === null) return "";
  const written = typeof value === "object" ? JSON.stringify(value) : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(written) ? `'${written}` : written;
  return `"${safe.replaceAll('"', '""')}"`;
}

function row({ name, answer, failure, pipeline }) {
  const found = answer ?? {};
  const filled = {
    ...found,
    file: name,
    status: answer ? "ok" : failure ? "failed" : "unanswered",
    pipeline: pipeline.name,
    uncertainty: found.uncertainty?.level,
    disagreement: found.uncertainty?.disagreement,
    count: found.predictions?.length,
    predictions: found.predictions?.map(({ class: name, score, box }) => ({ name, score, box })),
    typical: found.input?.typical,
    warnings: found.quality?.warnings.map(({ code }) => code),
    error: failure?.code,
  };
  return COLUMNS.map((column) => cell(filled[column])).join(",");
}

export function saveCsv(photos) {
  const lines = [COLUMNS.join(","), ...photos.map(row)];
  const link = document.createElement("a");
  // The mark at the start tells spreadsheets that it is UTF-8.
  link.href = URL.createObjectURL(new Blob([`\ufeff${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
  link.download = "second-opinion.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
