// Language, theme and mode: all that this page ever keeps in the browser's storage.
const PLACE = "preferences";
const DEFAULTS = { language: null, theme: null, readFirst: false };

export function readPreferences() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(PLACE)) };
  } catch {
    return DEFAULTS;
  }
}

export function writePreferences(preferences) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(preferences));
  } catch {
    // A browser that keeps nothing forgets them at the next visit.
  }
}

/** Light, dark, or, without a choice, as the system has it. */
export function showTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
