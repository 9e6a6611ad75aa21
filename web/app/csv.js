// CSV files: rows of named columns, and the answers of this visit with a row for each photo.
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
  "kept",
  "reading",
  "correction",
  "error",
];

/** Quoted, and so that no spreadsheet takes it for a formula. */
function cell(value) {
  if (value === undefined || value === null) return "";
  const written = typeof value === "object" ? JSON.stringify(value) : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(written) ? `'${written}` : written;
  return `"${safe.replaceAll('"', '""')}"`;
}

function row({ name, answer, failure, pipeline, reading, corrected }) {
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
    reading: reading && (reading.label ?? reading.objects),
    correction: corrected && (corrected.label ?? corrected.objects),
    error: failure?.code,
  };
  return filled;
}

/** Saves rows, each an object, as a file of a name. */
export function downloadCsv(name, columns, rows) {
  const lines = rows.map((filled) => columns.map((column) => cell(filled[column])).join(","));
  const link = document.createElement("a");
  // The mark at the start tells spreadsheets that it is UTF-8.
  const text = `\ufeff${[columns.join(","), ...lines].join("\r\n")}\r\n`;
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const saveCsv = (photos) => downloadCsv("second-opinion.csv", COLUMNS, photos.map(row));
