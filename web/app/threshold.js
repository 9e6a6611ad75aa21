// A slider that moves what is shown, and says that what was recorded stays.
import { html } from "./dom.js";
import { percent, text } from "./texts.js";

/**
 * @param recorded the threshold that decided
 * @param shown the slider's
 * @param minimum, maximum the slider's bounds
 * @param onChange takes the slider's value
 * @param children what the slider changes, in words
 */
export function ThresholdSlider({ recorded, shown, minimum, maximum, onChange, children }) {
  const moved = Math.abs(shown - recorded) > 1e-6;
  return html`<section class="threshold">
    <label class="threshold-label" for="threshold">
      ${text("threshold.label", { share: percent(shown) })}
    </label>
    <input
      id="threshold"
      type="range"
      min=${minimum}
      max=${maximum}
      step="0.01"
      value=${shown}
      aria-valuetext=${percent(shown)}
      aria-describedby="threshold-note"
      onInput=${({ target }) => onChange(Number(target.value))}
    />
    <p id="threshold-note" class=${moved ? "notice is-strong" : "note"} aria-live="polite">
      ${moved ? html`${children}${" "}<strong>${text("threshold.not_recorded")}</strong>` : text("threshold.note")}
    </p>
    ${moved &&
    html`<button class="button" onClick=${() => onChange(recorded)}>
      ${text("threshold.back", { share: percent(recorded) })}
    </button>`}
  </section>`;
}
