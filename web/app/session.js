// Who uses the page: a key or a login once, and from then on a cookie that scripts cannot read.
import { get, post, remove, useToken } from "./api.js";

const PATH = "api/v1/session";
/** Where identity is off, everyone is in. */
export const OPEN = "open";

function begun(session) {
  useToken(session.csrf_token);
  return session;
}

export const currentSession = () => get(PATH).then(begun);
export const logIn = (key) => post(PATH, { key }).then(begun);
/** Whether one can log in at an issuer, and where the issuer's own session ends. */
export const loginWays = () => get(`${PATH}/ways`);
export const logOut = () => remove(PATH).finally(() => useToken(null));
