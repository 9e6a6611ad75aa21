// Asks for an API key, which becomes a session and is kept nowhere; or for a login at the issuer.
import { html, useEffect, useState } from "./dom.js";
import { currentSession, logIn, loginWays } from "./session.js";
import { text, textIfKnown } from "./texts.js";

/** Why a login at the issuer came to nothing: what the page's address says after the way back. */
const [, returned = null] = /^#login=(\w+)$/.exec(location.hash) ?? [];
if (returned) history.replaceState(null, "", location.pathname + location.search);

/** The way to the issuer. With photos that wait it is a page of its own, so that they stay. */
function AtTheIssuer({ over, onSession }) {
  useEffect(() => {
    if (!over) return undefined;
    const look = () => document.hidden || currentSession().then(onSession, () => {});
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, [over]);
  const failed = returned && (textIfKnown(`login.oidc_${returned}`) ?? text("login.oidc_refused"));
  return html`${failed && html`<p class="notice is-strong" role="alert">${failed}</p>`}
    <p>
      <a class="button is-main" href="api/v1/session/oidc" target=${over ? "_blank" : undefined}>
        ${text("login.oidc")}
      </a>
    </p>
    <p class="note">${text(over ? "login.oidc_beside" : "login.or")}</p>`;
}

/**
 * @param over whether a session was there before
 * @param onSession takes the session
 */
export function Login({ over, onSession }) {
  const [failure, setFailure] = useState(null);
  const [trying, setTrying] = useState(false);
  const [ways, setWays] = useState(null);
  useEffect(() => void loginWays().then(setWays, () => {}), []);
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
    ${ways?.oidc && html`<${AtTheIssuer} over=${over} onSession=${onSession} />`}
    ${!ways?.oidc && html`<p>${text("login.how")}</p>`}
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
    <button class=${`button ${ways?.oidc ? "" : "is-main"}`} disabled=${trying}>${text("login.go")}</button>
  </form>`;
}
