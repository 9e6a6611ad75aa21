// Asks for an API key, which stays in this page's memory alone.
import { html, useState } from "./dom.js";
import { text } from "./texts.js";

/** @param onKey tries a key; resolves to whether it was right */
export function Login({ onKey }) {
  const [wrong, setWrong] = useState(false);
  async function onSubmit(event) {
    event.preventDefault();
    const key = new FormData(event.target).get("key").trim();
    setWrong(!(await onKey(key)));
  }
  return html`<form class="login" onSubmit=${onSubmit}>
    <h2>${text("login.title")}</h2>
    <p>${text("login.how")}</p>
    <label class="label" for="key">${text("login.key")}</label>
    <input
      class="input"
      id="key"
      name="key"
      type="password"
      required
      autocomplete="current-password"
      aria-invalid=${wrong}
      aria-describedby="key-note"
    />
    <p id="key-note" class=${wrong ? "notice is-strong" : "note"} aria-live="polite">
      ${text(wrong ? "login.wrong" : "login.note")}
    </p>
    <button class="button is-main">${text("login.go")}</button>
  </form>`;
}
