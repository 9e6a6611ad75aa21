// An answer in words: what was found, where, and how sure the models are.
import { list, score, text } from "./texts.js";

/** Findings that one line has room for. */
const MOST_TOLD = 3;
const ROWS = ["upper", "middle", "lower"];
const COLUMNS = ["left", "centre", "right"];

/** Where the middle of a box lies in the image, by thirds: "upper left". */
export function place([x1, y1, x2, y2], { width, height }) {
  const third = (at, size) => Math.min(2, Math.floor((at / 2 / size) * 3));
  return text(`place.${ROWS[third(y1 + y2, height)]}.${COLUMNS[third(x1 + x2, width)]}`);
}

/** "2 findings: acetowhite 0.93, upper left; mosaic 0.61, lower right". */
export function findingsInWords(objects, image) {
  if (!objects.length) return text("findings.none");
  const each = objects.map(
    ({ class: name, score: value, box }) => `${name} ${score(value)}, ${place(box, image)}`,
  );
  return `${text("findings.count", { n: objects.length })}: ${each.join("; ")}`;
}

/** Boxes counted by class: "acetowhite 1 and mosaic 4". */
export function countsInWords(objects) {
  const counts = new Map();
  for (const { class: name } of objects) counts.set(name, (counts.get(name) ?? 0) + 1);
  return list([...counts].map(([name, count]) => `${name} ${count}`));
}

/** One line about an answer, for the list of photos and for screen readers. */
export function summary(answer) {
  const { predictions, image } = answer;
  if (predictions?.length > MOST_TOLD) {
    return `${text("findings.count", { n: predictions.length })}: ${countsInWords(predictions)}`;
  }
  if (predictions) return findingsInWords(predictions, image);
  const level = text(`level.${answer.uncertainty.level}`);
  return `${answer.prediction}, ${level}`;
}

/** The classes of a prediction set: "healthy or cancer". */
export function setInWords(classes) {
  return classes.length ? list(classes) : text("set.none");
}

/** Whether an answer should not be relied on, whatever it says. */
export const unreliable = (answer) =>
  answer.input.typical === false || answer.uncertainty?.level === "high";
