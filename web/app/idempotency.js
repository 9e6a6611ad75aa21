// One key for each photo, so that a photo that is sent again is answered once and counted once.
import { kept } from "./kept.js";

const hexadecimal = (buffer) =>
  Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A key that nobody else can guess and that no photo has twice. */
export const freshKey = () => hexadecimal(crypto.getRandomValues(new Uint8Array(16)));

/**
 * The key of a photo for a pipeline's release: the same in every visit of this browser, so that
 * photos may be chosen again after the page was closed. It is made of the photo by a secret that
 * stays in the browser, and tells nothing of the photo. Whether the photo is to be kept is part of
 * the question. Without HTTPS browsers have no such
 * functions, and the key is a fresh one.
 */
export async function keyOf({ file, keep, pipeline: { name, release } }) {
  if (!crypto.subtle) return freshKey();
  try {
    const secret = await kept.secret();
    const content = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    const asked = new TextEncoder().encode(`${name} ${release} ${hexadecimal(content)}${keep ? " keep" : ""}`);
    return hexadecimal(await crypto.subtle.sign("HMAC", secret, asked)).slice(0, 32);
  } catch {
    return freshKey(); // A browser that keeps nothing.
  }
}
