// An answer in words: what was found, where, and how sure the models are.
import { list, number, text } from "./texts.js";

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
    ({ class: name, score, box }) => `${name} ${number(score)}, ${place(box, image)}`,
  );
  return `${text("findings.count", { n: objects.length })}: ${each.join("; ")}`;
}

/** One line about an answer, for the list of photos and for screen readers. */
export function summary(answer) {
  if (answer.predictions) return findingsInWords(answer.predictions, answer.image);
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
