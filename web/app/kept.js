// What the browser keeps from one visit to the next: a secret, and how many photos had no answer.
// No photo, no name and no answer.
const DATABASE = "second-opinion";
const STORE = "kept";

let connection = null;

function opened() {
  connection ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      const database = request.result;
      database.onclose = () => (connection = null);
      database.onversionchange = () => {
        database.close();
        connection = null;
      };
      resolve(database);
    };
    request.onerror = () => reject(request.error);
  });
  return connection;
}

async function within(mode, work) {
  const transaction = (await opened()).transaction(STORE, mode);
  return new Promise((resolve, reject) => {
    const request = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
    // What is committed at once is kept, though the page be closed in the same moment.
    transaction.commit?.();
  });
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

export const kept = {
  /** The key of this browser's idempotency keys; made once. */
  secret: () => (secret ??= makeSecret()),
  /** How many photos had no answer when the page was closed. */
  unanswered: () => read("unanswered").then(Number, () => 0).then((count) => count || 0),
  /** Writes are done in their order, so the last one counts. */
  countUnanswered: (count) => write("unanswered", count).catch(() => {}),
};
