// The audit log: who changed what, the newest first.
import { html, useState } from "./libraries.js";
import { get } from "./api.js";
import { ago, dateTime, instant } from "./format.js";
import { Button, Empty, Fault, Notice, Pager, Skeleton, Table, Value, useLoad } from "./ui.js";
import { T } from "./text.js";

const PAGE = 25;

export function Audit() {
  const [start, setStart] = useState(0);
  const [filter, setFilter] = useState({ account: "", kind: "" });
  const { data, error, isLoading, reload } = useLoad((signal) => get("admin/audit", { start, pageSize: PAGE, ...filter }, signal), [start, filter]);
  const set = (/** @type {Partial<typeof filter>} */ changes) => { setStart(0); setFilter({ ...filter, ...changes }); };
  const isFiltered = filter.account || filter.kind;
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} rows=${6} />`;
  return html`
    <div class="heading"><p class="quiet">${T.audit.about}</p><${Check} /></div>
    ${(data.total > 0 || isFiltered) && html`<div class="filters">
      <select aria-label=${T.audit.act} value=${filter.kind} onChange=${(/** @type {any} */ event) => set({ kind: event.target.value })}>
        <option value="">${T.audit.anyKind}</option>${Object.entries(T.audit.kinds).map(([kind, title]) => html`<option key=${kind} value=${kind}>${title}</option>`)}</select>
      ${filter.account && html`<button type="button" class="chip" onClick=${() => set({ account: "" })}>${filter.account} ×</button>`}</div>`}
    <${Fault} error=${error} again=${reload} />
    ${!data.total ? html`<${Empty} icon="clock" title=${isFiltered ? T.audit.none : T.audit.empty}><//>` : html`
    <div aria-busy=${isLoading}><${Table} caption=${T.operations.tabs.audit} rows=${data.acts} keyOf=${(/** @type {any} */ row) => row.id} columns=${[
      { title: T.audit.act, kind: "main", cell: (/** @type {any} */ row) => html`<b>${T.audit.kinds[row.kind] ?? row.kind}</b>${row.target && html`<small><${Value}>${row.target}<//></small>`}` },
      { title: T.audit.who, cell: (/** @type {any} */ row) => html`<button type="button" class="link" onClick=${() => set({ account: row.account })}><${Value}>${row.account}<//></button><small>${row.address}</small>` },
      { title: T.audit.result, cell: (/** @type {any} */ row) => html`<span class="state ${row.result}">${T.audit.results[row.result]}</span>` },
      { title: T.letters.when, cell: (/** @type {any} */ row) => html`${ago(instant(row.date))}<small>${dateTime(instant(row.date))}</small>` },
    ]} /></div>
    <${Pager} start=${start} size=${PAGE} total=${data.total} onStart=${setStart} />`}`;
}

/** Whether all rows are as they were written. */
function Check() {
  const [round, setRound] = useState(0);
  const { data, error, isLoading } = useLoad((signal) => (round ? get("admin/audit/check", {}, signal) : Promise.resolve(null)), [round]);
  return html`
    <div class="actions"><${Button} isBusy=${round > 0 && isLoading} onClick=${() => setRound(round + 1)}>${T.audit.check}<//></div>
    ${(data || error) && html`<div class="whole"><${Fault} error=${error} />
      ${data && html`<${Notice} kind=${data.isIntact ? "good" : "bad"}>${data.isIntact ? T.audit.intact(data.rows) : T.audit.broken(data.brokenAt)}<//>`}</div>`}`;
}
