// Where two answers about one photo differ, in words: a row for each thing that both say.
import { list, number, percent, score, text, textIfKnown } from "./texts.js";
import { findingsInWords, place, setInWords, summary } from "./words.js";

/** Boxes of one class that overlap so much, as intersection over union, are of one finding. */
const SAME_PLACE = 0.5;

/** How much two boxes overlap, 0 to 1. */
function overlap([a1, b1, a2, b2], [c1, d1, c2, d2]) {
  const width = Math.max(0, Math.min(a2, c2) - Math.max(a1, c1));
  const height = Math.max(0, Math.min(b2, d2) - Math.max(b1, d1));
  const both = width * height;
  const all = (a2 - a1) * (b2 - b1) + (c2 - c1) * (d2 - d1) - both;
  return all > 0 ? both / all : 0;
}

/** The findings of both, in pairs, and those that only one of them has. The best pairs go first. */
export function paired(left, right) {
  const candidates = left
    .flatMap((one, at) =>
      right.map((other, index) => ({ at, index, shared: one.class === other.class ? overlap(one.box, other.box) : 0 })),
    )
    .filter(({ shared }) => shared >= SAME_PLACE)
    .sort((one, other) => other.shared - one.shared);
  const [ofLeft, ofRight] = [new Map(), new Set()];
  for (const { at, index } of candidates) {
    if (ofLeft.has(at) || ofRight.has(index)) continue;
    ofLeft.set(at, index);
    ofRight.add(index);
  }
  return {
    pairs: [...ofLeft].map(([at, index]) => [left[at], right[index]]),
    onlyLeft: left.filter((_, at) => !ofLeft.has(at)),
    onlyRight: right.filter((_, index) => !ofRight.has(index)),
  };
}

/** A distance to so many digits; one that is not quite nothing never reads as if it were. */
function distance(value, digits) {
  const least = 10 ** -digits;
  return value < least ? `<\u00a0${number(least, digits)}` : number(value, digits);
}

function row(id, left, right) {
  return { id, left, right, difference: left === right ? null : text("compare.different") };
}

/** Of two shares: also where both read the same they may differ. */
function shareRow(id, one, other) {
  const difference = one === other ? null : text("compare.points", { n: distance(Math.abs(one - other) * 100, 1) });
  return { id, left: percent(one), right: percent(other), difference };
}

const warningsOf = ({ quality: { warnings } }) =>
  list(warnings.map(({ code }) => textIfKnown(`quality.${code}`) ?? code)) || text("compare.none");

function typicalityOf({ input: { typical } }) {
  if (typical === null) return text("compare.not_judged");
  return text(typical ? "compare.typical" : "compare.atypical");
}

function ofDecisions(left, right) {
  const rows = [
    row("decision", left.prediction, right.prediction),
    shareRow("confidence", left.confidence, right.confidence),
    row("level", text(`level.${left.uncertainty.level}`), text(`level.${right.uncertainty.level}`)),
  ];
  if (left.set && right.set) rows.push(row("set", setInWords(left.set), setInWords(right.set)));
  // Whatever one of them says is compared in the other, too: the same confidence may be of two classes.
  for (const name of new Set([left.prediction, right.prediction])) {
    const [one, other] = [left, right].map(({ probabilities }) => probabilities[name] ?? 0);
    rows.push({ ...shareRow("probability", one, other), name });
  }
  return rows;
}

function ofFindings(left, right) {
  const { pairs, onlyLeft, onlyRight } = paired(left.predictions, right.predictions);
  const inWords = (objects) =>
    list(objects.map(({ class: name, score: value, box }) => `${name} ${score(value)} (${place(box, left.image)})`));
  const parts = [text("compare.both", { n: pairs.length })];
  if (onlyLeft.length) parts.push(text("compare.only_left", { n: onlyLeft.length, found: inWords(onlyLeft) }));
  if (onlyRight.length) parts.push(text("compare.only_right", { n: onlyRight.length, found: inWords(onlyRight) }));
  const largest = Math.max(0, ...pairs.map(([one, other]) => Math.abs(one.score - other.score)));
  if (largest > 0) parts.push(text("compare.scores", { n: distance(largest, 3) }));
  const same = !onlyLeft.length && !onlyRight.length && largest === 0;
  const [one, other] = [left, right].map(({ predictions, image }) => findingsInWords(predictions, image));
  return [{ id: "findings", left: one, right: other, difference: same ? null : parts.join(" ") }];
}

/**
 * @param left an answer and the pipeline that gave it: {answer, pipeline}
 * @param right likewise
 * @returns rows {id, name, left, right, difference}; difference is null where both say the same
 */
export function differences(left, right) {
  const [one, other] = [left.answer, right.answer];
  const alike =
    left.pipeline.task === right.pipeline.task &&
    left.pipeline.classes.join("\n") === right.pipeline.classes.join("\n");
  const [first, second] = [one, other].map((answer) => Boolean(answer.predictions));
  const rows = !alike
    ? [{ id: "answer", left: summary(one), right: summary(other), difference: text("compare.other_question") }]
    : first && second
      ? ofFindings(one, other)
      : ofDecisions(one, other);
  if (one.threshold !== undefined && other.threshold !== undefined) {
    rows.push(row("threshold", number(one.threshold), number(other.threshold)));
  }
  return [
    ...rows,
    row("typicality", typicalityOf(one), typicalityOf(other)),
    row("warnings", warningsOf(one), warningsOf(other)),
    row("release", one.release, other.release),
    row("weights", one.weights ?? text("facts.trained"), other.weights ?? text("facts.trained")),
    row("preprocessing", one.preprocessing, other.preprocessing),
  ];
}
