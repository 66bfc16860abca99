import { html, useState } from "./libraries.js";
import { ApiError, get, post } from "./api.js";
import { ago, bytes, dateTime, instant } from "./format.js";
import { Button, Change, Confirm, Empty, Fault, Notice, Pager, Skeleton, Table, Value, announce, useLoad } from "./ui.js";
import { T } from "./text.js";

const PAGE = 25;

export function DeadLetters() {
  const [start, setStart] = useState(0);
  const [reason, setReason] = useState("");
  const [asked, setAsked] = useState(/** @type {any} */ (null));
  const { data, error, reload } = useLoad((signal) => get("admin/dead-letters", { start, pageSize: PAGE, reason }, signal), [start, reason]);
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} rows=${6} />`;
  if (!data.all) return html`<${Empty} icon="check" title=${T.letters.empty}>${T.letters.emptyAbout}<//>`;
  return html`
    <p class="quiet">${T.letters.about}</p>
    ${reason && html`<p><button type="button" class="chip" onClick=${() => setReason("")}>${reason} ×</button></p>`}
    <${Table} caption=${T.operations.tabs.letters} rows=${data.deadLetters} keyOf=${(/** @type {any} */ row) => row.id} columns=${[
      { title: T.letters.reason, kind: "main", cell: (/** @type {any} */ row) => html`<button type="button" class="link" onClick=${() => setReason(row.reason)}>${row.reason ?? "–"}</button><small>${row.detail}</small>` },
      { title: T.fields.key, cell: (/** @type {any} */ row) => html`<${Value}>${row.key}<//>` },
      { title: T.letters.from, cell: (/** @type {any} */ row) => `${row.sourcePartition ?? "–"}:${row.sourceOffset ?? "–"}` },
      { title: T.letters.size, kind: "num", cell: (/** @type {any} */ row) => bytes(row.valueBytes) },
      { title: T.letters.when, kind: "when", cell: (/** @type {any} */ row) => html`${ago(instant(row.recordedDate))}${row.retried && html`<small>${T.letters.retried(row.retried.retriedBy, dateTime(instant(row.retried.retriedDate)))}</small>`}` },
      { title: T.letters.do, kind: "do", cell: (/** @type {any} */ row) => html`<div class="actions"><${Button} onClick=${() => setAsked(row)}>${T.letters.open}<//></div>` },
    ]} />
    <${Pager} start=${start} size=${PAGE} total=${data.total} onStart=${setStart} />
    ${asked && html`<${Letter} letter=${asked} onClose=${() => setAsked(null)} onDone=${() => { setAsked(null); reload(); }} />`}`;
}

/** @param {any} props */
function Letter({ letter, onClose, onDone }) {
  const { data, error } = useLoad((signal) => get(`admin/dead-letters/${letter.id}`, {}, signal), [letter.id]);
  const [newer, setNewer] = useState(/** @type {any} */ (null));
  async function retry() {
    try {
      await post(`admin/dead-letters/${letter.id}/retry`, undefined, { query: { again: Boolean(letter.retried), overNewer: Boolean(newer) } });
    } catch (caught) {
      if (!(caught instanceof ApiError) || !caught.body?.wouldSet) throw caught;
      setNewer(caught.body); // it would set the user back: shown first, and done only then
      return Promise.reject(new Error(T.letters.newer));
    }
    announce(T.letters.done);
    onDone();
    return undefined;
  }
  const sets = Object.entries(newer?.wouldSet ?? {});
  return html`
    <${Confirm} title=${`${letter.reason ?? T.letters.one} · ${letter.id}`} action=${newer ? T.letters.over : T.letters.retry} kind=${newer ? "danger" : "primary"} onDo=${retry} onClose=${onClose} isWide>
      <p>${letter.detail}</p>
      <${Fault} error=${error} />
      ${newer && html`<${Notice} kind="warn" title=${T.letters.newer}><${Change} before=${Object.fromEntries(sets.map(([name, each]) => [name, each.now]))} after=${Object.fromEntries(sets.map(([name, each]) => [name, each.wouldBe]))} /><//>`}
      ${data ? html`<pre tabindex="0">${JSON.stringify(data.event ?? { ...data, detail: undefined, event: undefined }, null, 2)}</pre>` : !error && html`<${Skeleton} />`}
      <p class="quiet">${T.letters.retryAbout(`${letter.sourcePartition ?? "–"}:${letter.sourceOffset ?? "–"}`)}</p>
    <//>`;
}
