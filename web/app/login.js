// Asks for an API key, which becomes a session; it is kept nowhere.
import { html, useState } from "./dom.js";
import { logIn } from "./session.js";
import { text, textIfKnown } from "./texts.js";

/**
 * @param over whether a session was there before
 * @param onSession takes the session
 */
export function Login({ over, onSession }) {
  const [failure, setFailure] = useState(null);
  const [trying, setTrying] = useState(false);
  async function onSubmit(event) {
    event.preventDefault();
    setTrying(true);
    try {
      const session = await logIn(new FormData(event.target).get("key").trim());
      setFailure(null);
      onSession(session);
    } catch (error) {
      setFailure(error);
    }
    setTrying(false);
  }
  const wrong = failure?.status === 401;
  const said = failure && (wrong ? text("login.wrong") : textIfKnown(`failure.${failure.code}`) ?? failure.title);
  return html`<form class="login" onSubmit=${onSubmit}>
    <h2>${text("login.title")}</h2>
    ${over && html`<p class="notice is-strong" role="alert">${text("hold.session")}</p>`}
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
    <p id="key-note" class=${failure ? "notice is-strong" : "note"} aria-live="polite">
      ${said || text("login.note")}
    </p>
    <button class="button is-main" disabled=${trying}>${text("login.go")}</button>
  </form>`;
}
