// The page's words in the language that was chosen, and numbers as that language writes them.
import de from "./texts/de.js";
import en from "./texts/en.js";

const TABLES = { en, de };
export const LANGUAGES = { en: "English", de: "Deutsch" };
let language = "en";

/** The chosen language, or else the first of the browser's that there is a table for. */
export function setLanguage(chosen) {
  const wanted = [chosen, ...navigator.languages.map((name) => name.slice(0, 2)), "en"];
  language = wanted.find((name) => name in TABLES);
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;

/** The text of an id, with `{name}` replaced; one with a singular is chosen by `values.n`. */
export function text(id, values = {}) {
  let found = TABLES[language][id];
  if (typeof found === "object") {
    found = found[new Intl.PluralRules(language).select(values.n)] ?? found.other;
  }
  return found.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** The text of an id, or null where the table has none. */
export const textIfKnown = (id) => (id in TABLES[language] ? text(id) : null);

export function number(value, digits = 2) {
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, form).format(value);
}

/** A detection's score; one that is not quite 1 never reads as if it were. */
export const score = (value) =>
  value < 1 && value >= 0.995 ? `>\u00a0${number(0.99)}` : number(value);

/** A share as a percentage to a tenth; what is not quite all or nothing never reads as if it were. */
export function percent(value) {
  const form = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  if (value > 0.999 && value < 1) return `>\u00a0${form.format(0.999)}`;
  if (value > 0 && value < 0.001) return `<\u00a0${form.format(0.001)}`;
  return form.format(value);
}

/** A size in MB or kB, rounded down: what is said to be allowed is allowed. */
export function fileSize(bytes) {
  const [unit, divisor] = bytes >= 1024 * 1024 ? ["MB", 1024 * 1024] : ["kB", 1024];
  return `${number(Math.floor((bytes / divisor) * 10) / 10, bytes % divisor ? 1 : 0)} ${unit}`;
}

/** A time of the service as people here write it. */
export const moment = (time) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));

/** Words joined as the language does: "a, b and c". */
export const list = (words) => new Intl.ListFormat(language).format(words);
