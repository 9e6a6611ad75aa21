// What the browser keeps from one visit to the next: a secret, and how many photos had no answer.
// No photo, no name and no answer.
const DATABASE = "second-opinion";
const STORE = "kept";

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

const read = (name) => within("readonly", (store) => store.get(name));
const write = (name, value) => within("readwrite", (store) => store.put(value, name));

let secret = null;

async function makeSecret() {
  const known = await read("secret");
  if (known) return known;
  // It cannot be read out, by scripts neither.
  const made = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  await write("secret", made);
  return made;
}

let latest;
let writing = null;

/** Writes the latest count, and while one is being written no other: none may lag behind. */
async function writeLatest() {
  while (latest !== undefined) {
    const count = latest;
    latest = undefined;
    await write("unanswered", count).catch(() => {});
  }
  writing = null;
}

export const kept = {
  /** The key of this browser's idempotency keys; made once. */
  secret: () => (secret ??= makeSecret()),
  /** How many photos had no answer when the page was closed. */
  unanswered: () => read("unanswered").then(Number, () => 0).then((count) => count || 0),
  countUnanswered: (count) => {
    latest = count;
    return (writing ??= writeLatest());
  },
};
