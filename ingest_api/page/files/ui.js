// The parts that every view is made of.
import { Fragment, html, signal, useCallback, useEffect, useId, useRef, useState } from "./libraries.js";
import { ApiError } from "./api.js";
import { day, instant, number, percent } from "./format.js";
import { T } from "./text.js";

export const announcement = signal("");
/** Have a screen reader say it. @param {string} text */
export const announce = (text) => { announcement.value = text; };

/** The place in the page: `#/jobs/123?mode=upsert` is ["jobs", "123"] and {mode: "upsert"}. */
export const place = signal(placeOf(location.hash));
addEventListener("hashchange", () => { place.value = placeOf(location.hash); });

/** @param {string} hash */
function placeOf(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: Object.fromEntries(new URLSearchParams(query)) };
}

/** @param {string} path @param {Record<string, any>} [query] */
export function go(path, query) {
  location.hash = link(path, query);
}

/** @param {string} path @param {Record<string, any>} [query] */
export function link(path, query = {}) {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

/** Load what a view shows; what was there stays until the next is. @param {(signal: AbortSignal) => Promise<any>} ask @param {any[]} inputs */
export function useLoad(ask, inputs) {
  const [state, setState] = useState({ data: /** @type {any} */ (null), error: /** @type {any} */ (null), isLoading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setState((/** @type {any} */ before) => ({ ...before, isLoading: true }));
    ask(stop.signal).then(
      (data) => stop.signal.aborted || setState({ data, error: null, isLoading: false }),
      (error) => stop.signal.aborted || setState((/** @type {any} */ before) => ({ ...before, error, isLoading: false })),
    );
    return () => stop.abort();
  }, [...inputs, round]);
  return { ...state, reload: useCallback(() => setRound((/** @type {any} */ before) => before + 1), []) };
}

/** @param {number} ms @param {() => void} work @param {boolean} isOn */
export function useEvery(ms, work, isOn = true) {
  useEffect(() => {
    if (!isOn) return undefined;
    const timer = setInterval(() => document.hidden || work(), ms);
    return () => clearInterval(timer);
  }, [ms, isOn, work]);
}

/** @param {any} value @param {number} ms */
export function useSettled(value, ms) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

/** A text field whose words stand in the address once nobody types: what is in the field, how it is set, and the words. @param {string} name @returns {[string, (text: string) => void, string]} */
export function useAddressText(name) {
  const there = place.value.query[name] ?? "";
  const [text, setText] = useState(there);
  const settled = useSettled(text, 250).trim();
  const written = useRef(there);
  useEffect(() => {
    if (settled === written.current) return;
    written.current = settled;
    const { parts, query } = place.value;
    history.replaceState(null, "", link(parts.map(encodeURIComponent).join("/"), { ...query, [name]: settled, start: "" })); // from the first page on
    place.value = placeOf(location.hash);
  }, [settled]);
  useEffect(() => {
    if (there === written.current) return;
    written.current = there; // another link or the way back: nobody has typed that
    setText(there);
  }, [there]);
  return [text, setText, settled];
}

/** @param {string} title */
export function useTitle(title) {
  useEffect(() => { document.title = `${title} · Rollcall`; }, [title]);
}

const PATHS = {
  import: "M12 15V4m0 0L8 8m4-4 4 4M5 15v3a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-3",
  jobs: "M9 6h11M9 12h11M9 18h11M4.500 6h.01M4.500 12h.01M4.500 18h.01",
  users: "M15 19c0-2.800-2.500-4.500-5.500-4.500S4 16.200 4 19m5.500-8a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7m6-6.700a3.500 3.500 0 0 1 0 6.400M20 19c0-2.200-1.200-3.700-3-4.300",
  operations: "M3 12h4l3-7 4 14 3-7h4",
  out: "M14 8V6a2 2 0 0 0-2-2H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h6a2 2 0 0 0 2-2v-2m-5-4h11m0 0-3-3m3 3-3 3",
  file: "M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8zm0 0v5h5",
  check: "m5 12.500 4.500 4.500L19 7.500",
  info: "M12 11v5m0-8h.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0",
  warning: "M12 9v4m0 3.500h.01M10.300 4.300 2.800 17.500A2 2 0 0 0 4.500 20.500h15a2 2 0 0 0 1.700-3L13.700 4.300a2 2 0 0 0-3.400 0",
  clock: "M12 7v5l3 2m6-2a9 9 0 1 1-18 0 9 9 0 0 1 18 0",
  close: "M6 6l12 12M18 6 6 18",
  down: "M12 4v11m0 0 4-4m-4 4-4-4M5 20h14",
  back: "m14 6-6 6 6 6",
  arrow: "M5 12h14m0 0-5-5m5 5-5 5",
  undo: "M4 10h10a5 5 0 0 1 0 10h-3M4 10l4-4m-4 4 4 4",
  bell: "M6 16.500V11a6 6 0 1 1 12 0v5.500l1.500 1.500h-15zM10 20.500h4",
  key: "M12 12l8-8m-2.500 2.500L20 9M9 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  search: "M20 20l-4-4m2-5a7 7 0 1 1-14 0 7 7 0 0 1 14 0",
};

/** @param {{name: keyof typeof PATHS}} props */
export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"><path d=${PATHS[name]} /></svg>`;

/** @param {any} props */
export const Button = ({ kind = "", icon, isBusy, children, ...rest }) => html`
  <button type="button" class="button ${kind}" aria-busy=${isBusy ? "true" : undefined} disabled=${isBusy || rest.disabled} ...${rest}>
    ${icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;

/** @param {any} props */
export const LinkButton = ({ kind = "", icon, children, ...rest }) => html`
  <a class="button ${kind}" ...${rest}>${icon && html`<${Icon} name=${icon} />`}${children}</a>`;

/** @param {any} props */
export function Field({ label, hint, error, children, isWide }) {
  const id = useId();
  const about = hint || error ? `${id}-about` : undefined;
  return html`
    <div class="field ${isWide ? "wide" : ""}">
      <label for=${id}>${label}</label>
      ${children({ id, "aria-describedby": about, "aria-invalid": error ? "true" : undefined })}
      ${(hint || error) && html`<p id=${about} class=${error ? "fault" : "hint"}>${error || hint}</p>`}
    </div>`;
}

/** @param {any} props */
export const Notice = ({ kind = "info", title, children }) => html`
  <div class="notice ${kind}" role=${kind === "bad" ? "alert" : undefined}>
    <${Icon} name=${kind === "good" ? "check" : kind === "info" ? "info" : "warning"} />
    <div>${title && html`<strong>${title}</strong>`}<div>${children}</div></div>
  </div>`;

/** What went wrong, in the API's words, each detail a line. @param {{error: any, again?: () => void}} props */
export function Fault({ error, again }) {
  if (!error) return null;
  const details = error instanceof ApiError ? error.details : [];
  const isFinal = error instanceof ApiError && [400, 403, 404].includes(error.status); // it would be answered so again
  return html`
    <${Notice} kind="bad" title=${error.message}>
      ${details.length === 1 && html`<p>${details[0].line ? `${T.line(details[0].line)}: ` : ""}${details[0].message}</p>`}
      ${details.length > 1 && html`<ul>${details.slice(0, 12).map((/** @type {any} */ each) => html`
        <li>${each.line ? `${T.line(each.line)}: ` : ""}${each.message}</li>`)}</ul>`}
      ${details.length > 12 && html`<p>${T.more(details.length - 12)}</p>`}
      ${error.requestId && html`<p class="quiet">${T.requestId} <code>${error.requestId}</code></p>`}
      ${again && !isFinal && html`<p><${Button} onClick=${again}>${T.tryAgain}<//></p>`}
    <//>`;
}

/** @param {{rows?: number}} props */
export const Skeleton = ({ rows = 4 }) => html`
  <div class="skeleton" role="status"><span class="sr">${T.loading}</span>
    ${Array.from({ length: rows }, (_, at) => html`<i key=${at}></i>`)}
  </div>`;

/** @param {any} props */
export const Empty = ({ icon = "file", title, children }) => html`
  <div class="empty"><${Icon} name=${icon} /><h2>${title}</h2><div>${children}</div></div>`;

/** A value that strangers wrote: never wider than its place, and in its own direction. @param {any} props */
export const Value = ({ children }) => (children === null || children === undefined || children === ""
  ? html`<span class="quiet">–</span>`
  : html`<bdi class="value" title=${String(children).length > 40 ? String(children) : undefined}>${typeof children === "boolean" ? (children ? T.yes : T.no) : breakable(String(children))}</bdi>`);

/** An address is rather broken before its @ than anywhere. @param {string} text */
const breakable = (text) => text.split("@").map((part, at) => (at ? html`<wbr />@${part}` : part));

/** A table that becomes cards on a phone. `columns`: {title, cell, kind?}. @param {any} props */
export const Table = ({ columns, rows, caption, keyOf, onRow }) => html`
  <div class="scroller" role="region" aria-label=${caption} tabindex="0">
    <table>
      <caption class="sr">${caption}</caption>
      <thead><tr>${columns.map((/** @type {any} */ each) => html`<th scope="col" class=${each.kind}>${each.title}</th>`)}</tr></thead>
      <tbody>${rows.map((/** @type {any} */ row, /** @type {number} */ at) => html`
        <tr key=${keyOf ? keyOf(row) : at} class=${onRow ? "opens" : ""}
          onClick=${onRow && ((/** @type {any} */ event) => { if (!event.target.closest("a,button,input") && !String(getSelection())) onRow(row); })}>
          ${columns.map((/** @type {any} */ each) => html`<td class=${each.kind} data-title=${each.title}>${each.cell(row)}</td>`)}
        </tr>`)}
      </tbody>
    </table>
  </div>`;

/** @param {{start: number, size: number, total: number, onStart: (start: number) => void}} props */
export const Pager = ({ start, size, total, onStart }) => total > size && html`
  <nav class="pager" aria-label=${T.pages}>
    <${Button} disabled=${start === 0} onClick=${() => onStart(Math.max(0, start - size))}>${T.previous}<//>
    <span>${T.range(number(start + 1), number(Math.min(start + size, total)), number(total))}</span>
    <${Button} disabled=${start + size >= total} onClick=${() => onStart(start + size)}>${T.next}<//>
  </nav>`;

/** Counts as one bar and a legend; `parts`: {name, count, kind}. @param {{parts: any[], total?: number}} props */
export function Counts({ parts, total }) {
  const whole = total ?? parts.reduce((sum, each) => sum + each.count, 0);
  return html`
    <div class="counts">
      ${whole > 0 && html`<div class="bar" aria-hidden="true">
        ${parts.filter((each) => each.count > 0).map((each) => html`<i key=${each.kind} class=${each.kind} style=${{ flexGrow: each.count / Math.max(whole, 1) }}></i>`)}
        <i style=${{ flexGrow: Math.max(0, 1 - parts.reduce((sum, each) => sum + each.count, 0) / whole) }}></i>
      </div>`}
      <dl>${parts.map((each) => html`
        <div key=${each.kind} class=${each.count ? "" : "none"}><dt><i class=${each.kind}></i>${each.name}</dt><dd>${number(each.count)} <small>${each.count > 0 && whole > 0 ? percent(each.count, whole) : ""}</small></dd></div>`)}
      </dl>
    </div>`;
}

/** Reasons as a chart of bars. @param {{faults: any[]}} props */
export function Reasons({ faults }) {
  const most = Math.max(...faults.map((each) => each.count));
  return html`
    <ol class="reasons">${faults.slice(0, 12).map((each) => html`
      <li key=${`${each.code} ${each.column}`}>
        <div><span>${T.codes[each.code] ?? each.code}${each.column && html` <${Value}>${each.column}<//>`}</span><span>${number(each.count)}</span></div>
        <i style=${{ width: `${Math.max(1, (100 * each.count) / most)}%` }}></i>
      </li>`)}
    </ol>`;
}

/** What becomes of a user, field by field. @param {{before?: any, after?: any}} props */
export function Change({ before = {}, after = {} }) {
  const [old, now] = [flat(before), flat(after)];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  if (names.every((name) => isBlank(old[name]))) {
    return html`<dl class="facts-list">${names.filter((name) => !isBlank(now[name])).map((name) => html`
      <dt key=${name}>${fieldName(name)}</dt><dd><${Value}>${shown(now[name])}<//></dd>`)}</dl>`;
  }
  return html`<ul class="change">${names.map((name) => html`
    <li key=${name}><span class="name">${fieldName(name)}</span>
      <del>${isBlank(old[name]) ? T.blank : html`<${Value}>${shown(old[name])}<//>`}</del>
      <${Icon} name="arrow" />
      ${isBlank(now[name]) ? html`<span class="quiet">${T.blank}</span>` : html`<ins><${Value}>${shown(now[name])}<//></ins>`}
    </li>`)}</ul>`;
}

/** @param {any} value */
const isBlank = (value) => value === undefined || value === null || value === "";
/** A date as people write it, anything else as it is. @param {any} value */
const shown = (value) => (instant(value) ? day(instant(value)) : value);

/** @param {any} fields @returns {Record<string, any>} */
function flat(fields) {
  const { attributes, ...rest } = fields ?? {};
  const own = Object.entries(attributes ?? {}).map(([name, value]) => [name, value]);
  return Object.fromEntries([...Object.entries(rest), ...own]);
}

/** @param {string} name */
export const fieldName = (name) => T.fields[name] ?? name.replace(/^attributes\./, "");
/** @param {any} user */
export const fullName = (user) => [user.firstName, user.lastName].filter(Boolean).join(" ");

/** A modal dialog: Escape and the cross close it, and the focus comes back. @param {any} props */
export function Dialog({ title, onClose, children, isWide }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    element.current?.showModal();
    return () => before?.focus();
  }, []);
  return html`
    <dialog ref=${element} class=${isWide ? "wide" : ""} aria-labelledby=${id} onCancel=${(/** @type {Event} */ event) => { event.preventDefault(); onClose(); }}>
      <header><h2 id=${id}>${title}</h2>
        <button type="button" class="plain" aria-label=${T.close} onClick=${onClose}><${Icon} name="close" /></button></header>
      ${children}
    </dialog>`;
}

/** Ask before something is done; shows what went wrong. @param {any} props */
export function Confirm({ title, action, kind = "primary", onDo, onClose, children, isReady = true, isWide }) {
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  async function act(/** @type {Event} */ event) {
    event.preventDefault();
    if (!isReady || isBusy) return;
    setBusy(true);
    setError(null);
    try {
      await onDo();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  }
  return html`
    <${Dialog} title=${title} onClose=${onClose} isWide=${isWide}>
      <form onSubmit=${act}>
        <div class="body">${children}<${Fault} error=${error} /></div>
        <footer><${Button} onClick=${onClose}>${T.cancel}<//>
          <${Button} kind=${kind} type="submit" disabled=${!isReady} isBusy=${isBusy}>${action}<//></footer>
      </form>
    <//>`;
}

/** @param {{tabs: [string, string][], chosen: string, path: string}} props */
export function Tabs({ tabs, chosen, path }) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => list.current?.querySelector("[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" }), [chosen]);
  return html`
  <nav class="tabs" ref=${list} aria-label=${T.sections}>${tabs.map(([name, title]) => html`
    <a key=${name} href=${link(`${path}/${name}`)} aria-current=${name === chosen ? "page" : undefined}>${title}</a>`)}</nav>`;
}

/** The way back to the list that a view was opened from. @param {{to: string, title: string}} props */
export const Back = ({ to, title }) => html`<p class="path"><a href=${link(to)}><${Icon} name="back" />${title}</a></p>`;

/** The top of a view; the focus goes there when the place changes. @param {any} props */
export const Heading = ({ title, children, about }) => html`
  <div class="heading"><div><h1 tabindex="-1">${title}</h1>${about && html`<p>${about}</p>`}</div><div class="actions">${children}</div></div>`;

export { Fragment };
