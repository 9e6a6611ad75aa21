// What a comparison can ask: pipelines, their members alone, and releases that are loaded side by side.
import { get, send } from "./api.js";
import { freshKey } from "./idempotency.js";
import { text } from "./texts.js";

const ROLES = ["current", "candidate", "former"];

/** The loaded releases of a pipeline, where there are several: one alone is the pipeline as a whole. */
function releasesOf(pipeline, states) {
  const state = states.find(({ pipeline: name }) => name === pipeline.name) ?? { loaded: [] };
  const roles = ROLES.filter((role) => state.loaded.includes(state[role]));
  if (roles.length < 2) return [];
  return roles.map((role) => ({
    id: `${pipeline.name} release ${state[role]}`,
    pipeline,
    release: state[role],
    label: text("compare.release", { title: pipeline.title, release: state[role], role: text(`compare.${role}`) }),
  }));
}

/**
 * All that can be asked: each pipeline as a whole, each of its members alone, each of its releases.
 * @param pipelines those that the user may ask
 * @param states which releases of each are loaded as what
 */
export function choicesOf(pipelines, states) {
  return pipelines.flatMap((pipeline) => [
    { id: pipeline.name, pipeline, label: text("compare.whole", { title: pipeline.title }) },
    ...releasesOf(pipeline, states),
    ...Object.entries(pipeline.members).map(([member, { precision }]) => ({
      id: `${pipeline.name} ${member}`,
      pipeline,
      member,
      label: text("compare.member", { title: pipeline.title, member, precision }),
    })),
  ]);
}

/** What is compared at first: the pipeline as a whole with its first member. */
export function firstChoices(pipeline) {
  const [member] = Object.keys(pipeline.members);
  return [pipeline.name, `${pipeline.name} ${member}`];
}

/**
 * Asks one side about a photo.
 * @returns its answer, and the facts of the pipeline that gave it: a release may have others
 */
export async function ask(file, { pipeline, member, release }) {
  const named = release ? { "X-Release": release } : {};
  const path = `api/v1/pipelines/${encodeURIComponent(pipeline.name)}`;
  const facts = release ? await get(path, named) : pipeline;
  const query = new URLSearchParams();
  if (member) query.set("member", member);
  if (facts.task !== "classification") query.set("visualization", "false");
  // A comparison is a question of its own, also where the photo was asked about before.
  const headers = { "Idempotency-Key": freshKey(), ...named };
  const options = { headers, onProgress: () => {}, signal: new AbortController().signal };
  const { answer } = await send(`${path}/predict/advanced?${query}`, file, options);
  return { pipeline: facts, answer };
}
