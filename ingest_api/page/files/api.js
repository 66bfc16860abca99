// All requests to the API. A session's cookie, which scripts can't read, stands for the credentials.
import { signal } from "./libraries.js";
import { T } from "./text.js";

const BASE = new URL("vpns/api/v1/", document.baseURI);
const FROM_PAGE = { "Rollcall-Page": "1" };
const ROLES = ["reader", "importer", "manager", "admin"];
const TRIES = 6;
const PART_BYTES = 4 << 20;
const MOST_PART_BYTES = 8 << 20;
const MOST_PARTS = 600;
const BUSY = [408, 429, 503];
const PARTS = "application/vnd.rollcall.parts+json";
const MOST_URL = 6000;

/** Who is signed in: undefined while that isn't known, null where nobody is. */
export const session = signal(/** @type {{name: string, role: string} | null | undefined} */ (undefined));
/** @param {string} role */
export const may = (role) => ROLES.indexOf(session.value?.role ?? "") >= ROLES.indexOf(role);

/** An answer other than 2xx, or none at all (status 0). */
export class ApiError extends Error {
  /** @param {number} status @param {any} body @param {number} [retryAfter] */
  constructor(status, body, retryAfter = 0) {
    super(body?.message || (status ? T.failed(status) : T.unreachable));
    this.status = status;
    this.details = body?.details ?? [];
    this.requestId = body?.requestId;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}

/** @param {string} path @param {Record<string, any>} [query] */
export function address(path, query = {}) {
  const url = new URL(path.replace(/^\//, ""), BASE);
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") url.searchParams.append(name, String(each));
    }
  }
  return url.href;
}

/** @param {string} method @param {string} path @param {{query?: any, body?: any, headers?: any, signal?: AbortSignal}} [options] */
async function send(method, path, { query, body, headers = {}, signal } = {}) {
  let response;
  try {
    response = await fetch(address(path, query), {
      method, signal,
      headers: { ...FROM_PAGE, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, null);
  }
  if (!response.ok) throw await refused(response);
  return response;
}

/** @param {Response} response */
async function refused(response) {
  const body = await response.json().catch(() => null);
  return failure(response.status, body, Number(response.headers.get("Retry-After")));
}

/** @param {number} status @param {any} body @param {number} retryAfter */
function failure(status, body, retryAfter) {
  if (status === 401 && session.value) session.value = null;
  return new ApiError(status, body, retryAfter);
}

/** @param {string} path @param {any} [query] @param {AbortSignal} [signal] */
export const get = async (path, query, signal) => (await send("GET", path, { query, signal })).json();
/** @param {string} path @param {any} [body] @param {any} [options] */
export async function post(path, body, options = {}) {
  const response = await send("POST", path, { body, ...options });
  return { status: response.status, ...(await response.json()) };
}
/** @param {string} path @param {any} body */
export const put = async (path, body) => (await send("PUT", path, { body })).json();

/** Ask again for as long as the answer says that it is being built (503 or 202). @param {() => Promise<any>} ask @param {(text: string) => void} [tell] @param {AbortSignal} [signal] */
export async function whenReady(ask, tell = () => {}, signal) {
  for (;;) {
    try {
      const found = await ask();
      if (found.status !== 202) return found;
      tell(found.message);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503 || signal?.aborted) throw error;
      tell(error.message);
      await pause((error.retryAfter || 2) * 1000);
    }
  }
}

/** @param {number} ms */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Save what the API answers as a file; for what no plain link can ask for. @param {string} path @param {string} accept @param {string} name @param {any} [query] */
export async function download(path, accept, name, query) {
  const response = await send("GET", path, { query, headers: { Accept: accept } });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** How an upload goes on: "" at first, "again" from its beginning, "resumed" from what the server has. @typedef {(sent: number, total: number, how: "" | "again" | "resumed") => void} Tell */

/** Names of the parts that the server has of a file; a preview and the import after it send it once. @type {WeakMap<Blob, string[]>} */
const kept = new WeakMap();

/**
 * Upload a file and its options. A connection that breaks is tried again: with the same
 * `Idempotency-Key`, so it becomes one job; of a large file, from the part on that broke.
 * @param {string} path @param {Blob} file @param {string} name @param {Record<string, any>} options
 * @param {{key?: string, tell?: Tell, signal?: AbortSignal, charset?: string}} [how]
 */
export async function upload(path, file, name, options, { key, tell = () => {}, signal, charset } = {}) {
  /** @type {Record<string, string>} */
  const headers = key ? { "Idempotency-Key": key } : {};
  const url = address(path, { fileName: name, ...options });
  const isWhole = file.size <= PART_BYTES || file.size > MOST_PARTS * MOST_PART_BYTES;
  if (isWhole || url.length > MOST_URL) {
    return persistently((isAgain) => request(address(path), form(file, name, options, charset), headers, {
      signal, sent: (done, total) => tell(done, total, isAgain ? "again" : ""),
    }), { isSafe: Boolean(key), signal, broken: () => tell(0, file.size, "again") });
  }
  for (let tries = 1; ; tries += 1) {
    const parts = await sendParts(file, tell, signal);
    const type = charset ? `text/csv; charset=${charset}` : "application/octet-stream";
    const send = () => request(url, JSON.stringify({ parts, type }), { ...headers, "Content-Type": PARTS }, { signal });
    try {
      return await persistently(send, { isSafe: Boolean(key), signal, broken: () => tell(file.size, file.size, "resumed") });
    } catch (error) {
      if (tries > 1 || !(error instanceof ApiError) || error.details[0]?.code !== "PART_LOST") throw error;
      kept.delete(file); // kept for days only
    }
  }
}

/** @param {Blob} file @param {Tell} tell @param {AbortSignal} [signal] */
async function sendParts(file, tell, signal) {
  const parts = kept.get(file) ?? [];
  kept.set(file, parts);
  const bytes = Math.max(PART_BYTES, Math.ceil(file.size / MOST_PARTS));
  while (parts.length * bytes < file.size) {
    const at = parts.length * bytes;
    const part = await persistently((isAgain) => request(address("audience/parts"), file.slice(at, at + bytes), { "Content-Type": "application/octet-stream" }, {
      signal, sent: (done) => tell(at + done, file.size, isAgain ? "resumed" : ""),
    }), { isSafe: true, signal, broken: () => tell(at, file.size, "resumed") });
    parts.push(part.part);
  }
  tell(file.size, file.size, "");
  return parts;
}

/** Do it again where the connection broke, or where the server was busy and it is safe. @param {(isAgain: boolean) => Promise<any>} work @param {{isSafe: boolean, signal?: AbortSignal, broken: () => void}} how */
async function persistently(work, { isSafe, signal, broken }) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work(tries > 1);
    } catch (error) {
      const isBroken = error instanceof ApiError && (error.status === 0 || (isSafe && BUSY.includes(error.status)));
      if (!isBroken || tries === TRIES || signal?.aborted) throw error;
      broken();
      await pause(Math.max(Math.min(1000 * 2 ** (tries - 1), 10_000), error.retryAfter * 1000));
      while (!navigator.onLine && !signal?.aborted) await pause(500); // as long as it takes
      if (signal?.aborted) throw error;
    }
  }
}

/** @param {Blob} file @param {string} name @param {Record<string, any>} options @param {string} [charset] */
function form(file, name, options, charset) {
  const made = new FormData();
  for (const [option, value] of Object.entries(options)) {
    if (value !== undefined && value !== null && value !== "") made.append(option, String(value));
  }
  // The charset stands in the type of the file's part; any other type would name a packing.
  const type = charset ? `text/csv; charset=${charset}` : file.type;
  made.append("uploadFile", new Blob([file], { type }), name);
  return made;
}

/** Post a body, and say how much of it is sent. @returns {Promise<any>} @param {string} url @param {any} body @param {Record<string, string>} headers @param {{signal?: AbortSignal, sent?: (done: number, total: number) => void}} how */
async function request(url, body, headers, { signal, sent = () => {} }) {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    const abort = () => asked.abort();
    asked.open("POST", url);
    asked.responseType = "json";
    for (const [header, value] of Object.entries({ ...FROM_PAGE, ...headers })) asked.setRequestHeader(header, value);
    asked.upload.onprogress = (event) => sent(event.loaded, event.total);
    asked.onload = () => {
      if (asked.status >= 200 && asked.status < 300) resolve(asked.response);
      else reject(failure(asked.status, asked.response, Number(asked.getResponseHeader("Retry-After"))));
    };
    asked.onerror = () => reject(new ApiError(0, null));
    asked.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal?.addEventListener("abort", abort);
    asked.onloadend = () => signal?.removeEventListener("abort", abort);
    asked.send(body);
  });
}

/** Follow a job: its status at once and after each change, until the connection ends. @param {string} id @param {(status: any) => void} tell @param {() => void} closed */
export function follow(id, tell, closed) {
  const events = new EventSource(address(`batchinfo/status/${id}/events`));
  events.onmessage = (event) => tell(JSON.parse(event.data));
  events.onerror = () => {
    events.close();
    closed();
  };
  return () => events.close();
}

/** @param {string} name @param {string} password */
export async function signIn(name, password) {
  const answer = await post("session", { name, password });
  session.value = { name: answer.name, role: answer.role };
}

export async function signOut() {
  await post("session/delete").catch(() => {});
  session.value = null;
}

export async function whoIsIt() {
  try {
    session.value = await get("session");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) session.value = null;
    else throw error;
  }
}
