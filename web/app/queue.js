// The photos of this visit, in their order: a few are on their way at a time, the others wait.
import { UNREACHABLE, Failure, alive, send } from "./api.js";
import { freshKey, keyOf } from "./idempotency.js";
import { kept } from "./kept.js";

/** Browsers open six connections to a host; some are left for the page itself. */
const AT_A_TIME = 3;
const TRIES = 8;
/** A longer wait is no wait at a screen: the photo fails, with a button to try again. */
const LONGEST_WAIT_SECONDS = 300;
const LOOK_AGAIN_MS = 3000;
const IN_FLIGHT = "idempotency_in_flight";
const EXPECTED = new Set([408, 429, 500, 503, 504]);

export const State = {
  WAITING: "waiting",
  SENDING: "sending",
  ANSWERING: "answering",
  ANSWERED: "answered",
  FAILED: "failed",
};

export const Hold = { BUSY: "busy", GONE: "gone", SESSION: "session" };

let lastId = 0;

export class Queue {
  constructor(onChange) {
    this.photos = [];
    /** Why nothing is sent at the moment, with the time at which it goes on: null, or {why, until}. */
    this.hold = null;
    this.onChange = onChange;
    this.controllers = new Map();
  }

  /** Adds photos for a pipeline, to be kept or not; returns the id of the first. */
  add(files, pipeline, keep) {
    const added = files.map((file) => ({
      id: ++lastId,
      file,
      name: file.name || "photo",
      url: URL.createObjectURL(file),
      pipeline,
      /** Whether the service is asked to keep it, as the person in it agrees. */
      keep,
      state: State.WAITING,
      progress: 0,
      tries: 0,
      notBefore: 0,
      key: null,
      answer: null,
      /** Whether the answer was given before, to the same photo. */
      replayed: false,
      /** What the reader said before the answer was shown, and whether it was shown without. */
      reading: null,
      revealed: false,
      /** What the reader said was right, at last. */
      corrected: null,
      failure: refusalHere(file, pipeline),
    }));
    for (const photo of added) if (photo.failure) photo.state = State.FAILED;
    this.photos = [...this.photos, ...added];
    this.go();
    return added[0]?.id;
  }

  retry(ids) {
    for (const id of ids) {
      const photo = this.find(id);
      const failure = refusalHere(photo.file, photo.pipeline);
      if (!failure) this.change(id, { state: State.WAITING, tries: 0, failure: null });
    }
    if (this.hold?.why !== Hold.SESSION) this.hold = null;
    this.go();
  }

  /** Asks about a photo as if it had never been sent. */
  askAnew(id) {
    this.change(id, { state: State.WAITING, tries: 0, key: freshKey(), answer: null });
    this.go();
  }

  remove(id) {
    URL.revokeObjectURL(this.find(id).url);
    this.controllers.get(id)?.abort();
    this.photos = this.photos.filter((photo) => photo.id !== id);
    this.go();
  }

  clear() {
    for (const { id } of this.photos) this.remove(id);
  }

  /** Goes on after a login. */
  release() {
    this.hold = null;
    this.go();
  }

  find(id) {
    return this.photos.find((photo) => photo.id === id);
  }

  get unfinished() {
    return this.photos.filter(({ state }) => state !== State.ANSWERED && state !== State.FAILED);
  }

  change(id, changes) {
    this.photos = this.photos.map((photo) => (photo.id === id ? { ...photo, ...changes } : photo));
    this.changed();
  }

  changed() {
    const count = this.unfinished.length;
    if (count !== this.counted) kept.countUnanswered(count);
    this.counted = count;
    this.onChange();
  }

  go() {
    while (!this.hold && this.controllers.size < AT_A_TIME) {
      const now = Date.now();
      const next = this.photos.find(
        ({ state, notBefore }) => state === State.WAITING && notBefore <= now,
      );
      if (!next) break;
      this.ask(next);
    }
    this.changed();
  }

  async ask(photo) {
    const controller = new AbortController();
    this.controllers.set(photo.id, controller);
    this.change(photo.id, { state: State.SENDING, progress: 0, tries: photo.tries + 1 });
    const name = encodeURIComponent(photo.pipeline.name);
    const task = photo.pipeline.task;
    const query = task === "classification" ? "" : "?visualization=false";
    try {
      const key = photo.key ?? (await keyOf(photo));
      if (this.find(photo.id)) this.change(photo.id, { key });
      const path = `api/v1/pipelines/${name}/predict/advanced${query}`;
      const { answer, replayed } = await send(path, photo.file, {
        signal: controller.signal,
        headers: { "Idempotency-Key": key, ...(photo.keep ? { "X-Keep-Image": "yes" } : {}) },
        onProgress: (progress) => {
          const state = progress < 1 ? State.SENDING : State.ANSWERING;
          if (this.controllers.has(photo.id)) this.change(photo.id, { state, progress });
        },
      });
      this.controllers.delete(photo.id);
      this.change(photo.id, { state: State.ANSWERED, answer, replayed, failure: null });
    } catch (error) {
      this.controllers.delete(photo.id);
      if (this.find(photo.id)) this.failed(this.find(photo.id), error);
    }
    this.go();
  }

  failed(photo, error) {
    const failure = error instanceof Failure ? error : new Failure({ code: "internal" });
    const { status, retryAfter } = failure;
    if (status === 401) {
      this.change(photo.id, { state: State.WAITING });
      this.hold = { why: Hold.SESSION };
    } else if (failure.code === UNREACHABLE) {
      // It may have been answered: under the same key it is not answered twice.
      this.change(photo.id, { state: State.WAITING });
      this.look();
    } else if (failure.code === IN_FLIGHT) {
      // The same photo is under way, perhaps since a visit before: this one comes after it.
      const milliseconds = (retryAfter || 1) * 1000;
      const notBefore = Date.now() + milliseconds;
      this.change(photo.id, { state: State.WAITING, notBefore, tries: photo.tries - 1 });
      setTimeout(() => this.go(), milliseconds + 1);
    } else if (retryAfter && retryAfter <= LONGEST_WAIT_SECONDS && photo.tries < TRIES) {
      this.change(photo.id, { state: State.WAITING });
      this.wait(retryAfter);
    } else {
      this.change(photo.id, { state: State.FAILED, failure });
    }
  }

  wait(seconds) {
    const hold = { why: Hold.BUSY, until: Date.now() + seconds * 1000 };
    if (this.hold && !(this.hold.until < hold.until)) return;
    this.hold = hold;
    setTimeout(() => {
      if (this.hold !== hold) return;
      this.hold = null;
      this.go();
    }, seconds * 1000);
  }

  /** Sends nothing until the service answers again. */
  look() {
    if (this.hold?.why === Hold.GONE || this.hold?.why === Hold.SESSION) return;
    const hold = { why: Hold.GONE };
    this.hold = hold;
    const again = async () => {
      if (this.hold !== hold) return;
      if (await alive()) {
        this.hold = null;
        this.go();
      } else setTimeout(again, LOOK_AGAIN_MS);
    };
    setTimeout(again, LOOK_AGAIN_MS);
  }
}

/** What the service would refuse anyway need not be sent. */
function refusalHere(file, pipeline) {
  if (!file.size) return new Failure({ code: "image_empty" });
  if (file.size > pipeline.limits.bytes) return new Failure({ code: "body_too_large" });
  return null;
}

/** Whether trying the same photo again may help. */
export const retryable = ({ status }) => EXPECTED.has(status);
