// The whole page: what is at its head, and which part of it is to be seen.
import { html, useEffect, useMemo, useState } from "./dom.js";
import { Answer } from "./answer.js";
import { UNREACHABLE, get } from "./api.js";
import { Boundary } from "./boundary.js";
import { Chooser } from "./chooser.js";
import { Fetched } from "./fetched.js";
import { kept } from "./kept.js";
import { Login } from "./login.js";
import { KeepPhotos, ReadFirst } from "./modes.js";
import { PhotoList } from "./photo_list.js";
import { readPreferences, showTheme, writePreferences } from "./preferences.js";
import { Hold, Queue, State } from "./queue.js";
import { OPEN, currentSession, logOut, loginWays } from "./session.js";
import { LANGUAGES, currentLanguage, setLanguage, text } from "./texts.js";
import { summary } from "./words.js";

const LOOK_AGAIN_MS = 3000;
const OF_AN_ISSUER = "token";
const THEMES = ["light", "dark"];

function Select({ id, label, value, options, onChange }) {
  return html`<div class="choice">
    <label for=${id}>${label}</label>
    <div class="select">
      <select id=${id} value=${value} onChange=${({ target }) => onChange(target.value)}>
        ${Object.entries(options).map(
          ([key, name]) => html`<option key=${key} value=${key} selected=${key === value}>${name}</option>`,
        )}
      </select>
    </div>
  </div>`;
}

function Head({ pipelines, pipeline, onPipeline, preferences, onPreferences, session, onLogOut }) {
  const themes = { "": text("theme.system") };
  for (const theme of THEMES) themes[theme] = text(`theme.${theme}`);
  const offered = Object.fromEntries(pipelines.map(({ name, title }) => [name, title]));
  return html`<header class="head">
    <div class="brand">
      <h1>Second Opinion</h1>
      <p>${text("head.not_a_device")}</p>
    </div>
    <div class="choices">
      ${pipeline &&
      html`<${Select}
        id="pipeline"
        label=${text("head.pipeline")}
        value=${pipeline.name}
        options=${offered}
        onChange=${onPipeline}
      />`}
      <${Select}
        id="language"
        label=${text("head.language")}
        value=${currentLanguage()}
        options=${LANGUAGES}
        onChange=${(language) => onPreferences({ ...preferences, language })}
      />
      <${Select}
        id="theme"
        label=${text("head.theme")}
        value=${preferences.theme ?? ""}
        options=${themes}
        onChange=${(theme) => onPreferences({ ...preferences, theme: theme || null })}
      />
      ${session &&
      session.kind !== OPEN &&
      html`<div class="choice">
        <span class="choice-label">${text("head.logged_in", { name: session.name.replace(/^token:/, "") })}</span>
        <button class="button" onClick=${onLogOut}>${text("head.log_out")}</button>
      </div>`}
    </div>
  </header>`;
}

function DemoBanner() {
  return html`<aside class="demo" aria-label=${text("demo.label")}>
    <strong><span aria-hidden="true">! </span>${text("demo.title")}</strong>${" "}${text("demo.note")}
  </aside>`;
}

const Part = { PHOTOS: "photos", HISTORY: "history", COMPARE: "compare", OPERATE: "operate" };

const FETCH = {
  [Part.HISTORY]: () => import("./history.js").then(({ History }) => History),
  [Part.COMPARE]: () => import("./compare.js").then(({ Compare }) => Compare),
  [Part.OPERATE]: () => import("./operate.js").then(({ Operate }) => Operate),
};

/** The parts of the page that the user may see. */
function Parts({ parts, part, onPart }) {
  return html`<nav class="parts" aria-label=${text("parts.label")}>
    ${parts.map(
      (id) => html`<button
        key=${id}
        class="part"
        aria-current=${id === part ? "page" : undefined}
        onClick=${() => onPart(id)}
      >
        ${text(`parts.${id}`)}
      </button>`,
    )}
  </nav>`;
}

/** Why there is nothing to ask yet. */
function Unready({ failure }) {
  return html`<div class="notice is-strong is-page" role="alert">
    <strong>${text(failure.code === UNREACHABLE ? "start.gone" : "start.unready")}</strong>
    <p>${text("start.again")}</p>
    ${failure.detail && html`<p lang="en">${failure.detail}</p>`}
  </div>`;
}

/** The answer of the photo that is seen, for those who do not see the screen. */
function Said({ photo, hidden }) {
  const answered = photo.state === State.ANSWERED && !hidden;
  return html`<p class="said" role="status">
    ${answered && `${photo.name}: ${summary(photo.answer)}`}
  </p>`;
}

/** Of a visit that ended before all photos had an answer. */
function Unanswered({ count, onClose }) {
  return html`<div class="notice is-strong is-page" role="note">
    <p>${text("unanswered.note", { n: count })}</p>
    <button class="button" onClick=${onClose}>${text("unanswered.close")}</button>
  </div>`;
}

export function App() {
  const [preferences, setPreferences] = useState(readPreferences);
  setLanguage(preferences.language);
  showTheme(preferences.theme);
  const [, changed] = useState(0);
  const queue = useMemo(() => new Queue(() => changed((before) => before + 1)), []);
  const [served, setServed] = useState({ pipelines: [], default: null });
  const [failure, setFailure] = useState(null);
  const [name, setName] = useState(null);
  const [chosen, setChosen] = useState(null);
  const [part, setPart] = useState(Part.PHOTOS);
  const [keep, setKeep] = useState(false);
  const [session, setSession] = useState(null);
  const [unanswered, setUnanswered] = useState(0);

  async function load() {
    try {
      setSession(await currentSession());
      setServed(await get("api/v1/pipelines"));
      setFailure(null);
    } catch (error) {
      setFailure(error);
      if (error.status !== 401) setTimeout(load, LOOK_AGAIN_MS);
    }
  }
  useEffect(() => void load(), []);
  useEffect(() => void kept.unanswered().then(setUnanswered), []);
  useEffect(() => {
    const leaving = (event) => queue.unfinished.length && event.preventDefault();
    addEventListener("beforeunload", leaving);
    return () => removeEventListener("beforeunload", leaving);
  }, []);

  function onPreferences(next) {
    writePreferences(next);
    setPreferences(next);
  }
  async function onSession(begun) {
    setSession(begun);
    await load();
    queue.release();
  }
  async function onLogOut() {
    queue.clear();
    const { logout } = session.kind === OF_AN_ISSUER ? await loginWays().catch(() => ({})) : {};
    await logOut().catch(() => {});
    // What this user was shown does not stay for the next one, nor does a login at the issuer.
    if (logout) location.assign(logout);
    else location.reload();
  }

  const { pipelines } = served;
  const pipeline =
    pipelines.find((one) => one.name === (name ?? served.default)) ?? pipelines[0] ?? null;
  const photo = queue.find(chosen) ?? queue.photos[0];
  const asksForKey = failure?.status === 401 || queue.hold?.why === Hold.SESSION;
  // What is compared may be of any pipeline.
  const seen = part === Part.COMPARE ? pipelines : [pipeline, photo?.pipeline, photo?.answer];
  const demo = seen.some((one) => one?.weights === "demo");

  const may = (role, one) =>
    session !== null &&
    session.roles.includes(role) &&
    (session.pipelines === null || session.pipelines.includes(one.name));
  const isUnread = ({ state, answer, revealed, pipeline: asked }) =>
    preferences.readFirst &&
    state === State.ANSWERED &&
    !revealed &&
    Boolean(answer.prediction_id) &&
    may("feedback", asked);

  function onPipeline(next) {
    setName(next);
    setKeep(false);
  }
  function onFiles(files) {
    setPart(Part.PHOTOS);
    setUnanswered(0);
    const first = queue.add(files, pipeline, keep && Boolean(pipeline.keep_images));
    setChosen(first);
    // The next photos may be those of somebody else, who may not agree.
    setKeep(false);
  }
  const modes = pipeline && html`${may("feedback", pipeline) &&
    html`<${ReadFirst}
      on=${preferences.readFirst}
      onChange=${(readFirst) => onPreferences({ ...preferences, readFirst })}
    />`}
    <${KeepPhotos} pipeline=${pipeline} on=${keep} onChange=${setKeep} />`;
  const parts = [Part.PHOTOS];
  if (pipeline && may("feedback", pipeline)) parts.push(Part.HISTORY);
  if (pipeline && may("operate", pipeline) && may("predict", pipeline)) parts.push(Part.COMPARE);
  if (session?.roles.some((role) => ["operate", "audit"].includes(role))) parts.push(Part.OPERATE);
  let content;
  if (asksForKey) content = html`<${Login} over=${session !== null} onSession=${onSession} />`;
  else if (!pipeline) {
    content = failure ? html`<${Unready} failure=${failure} />` : html`<p role="status">${text("start.loading")}</p>`;
  } else if (part in FETCH) {
    const shown = photo && !isUnread(photo) ? photo : null;
    const props = { pipelines, pipeline, shown, roles: session.roles };
    content = html`<${Fetched} key=${part} load=${FETCH[part]} props=${props} />`;
  } else if (!photo) {
    const close = () => {
      setUnanswered(0);
      kept.countUnanswered(0);
    };
    content = html`${unanswered > 0 && html`<${Unanswered} count=${unanswered} onClose=${close} />`}
      <${Chooser} pipeline=${pipeline} onFiles=${onFiles} />
      ${modes}`;
  } else {
    content = html`<div class="desk">
      <div class="side">
        <${Chooser} pipeline=${pipeline} onFiles=${onFiles} small />
        ${modes}
        <${PhotoList}
          queue=${queue}
          chosen=${photo.id}
          isUnread=${isUnread}
          onChoose=${setChosen}
        />
      </div>
      <${Said} photo=${photo} hidden=${isUnread(photo)} />
      <${Answer}
        key=${photo.id}
        photo=${photo}
        queue=${queue}
        unread=${isUnread(photo)}
        mayCorrect=${may("feedback", photo.pipeline)}
      />
    </div>`;
  }
  return html`<a class="skip" href="#main">${text("head.skip")}</a>
    <${Head}
      pipelines=${pipelines}
      pipeline=${pipeline}
      onPipeline=${onPipeline}
      preferences=${preferences}
      onPreferences=${onPreferences}
      session=${asksForKey ? null : session}
      onLogOut=${onLogOut}
    />
    ${demo && html`<${DemoBanner} />`}
    ${parts.length > 1 &&
    !asksForKey &&
    html`<${Parts} parts=${parts} part=${part} onPart=${setPart} />`}
    <main id="main" tabindex="-1"><${Boundary}>${content}<//></main>
    <footer class="foot">
      <p>${text("foot.not_a_device")} <a href="docs">${text("foot.api")}</a></p>
    </footer>`;
}
