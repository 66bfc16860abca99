// The audit log: who changed what, the newest first.
import { html, useState } from "./libraries.js";
import { get } from "./api.js";
import { ago, dateTime, instant } from "./format.js";
import { Empty, Fault, Pager, Skeleton, Table, Value, useLoad } from "./ui.js";
import { T } from "./text.js";

const PAGE = 25;

export function Audit() {
  const [start, setStart] = useState(0);
  const [account, setAccount] = useState("");
  const { data, error, reload } = useLoad((signal) => get("admin/audit", { start, pageSize: PAGE, ...(account && { account }) }, signal), [start, account]);
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} rows=${6} />`;
  if (!data.total) return html`<${Empty} title=${T.audit.empty}><//>`;
  const only = (/** @type {string} */ name) => { setStart(0); setAccount(name); };
  return html`
    <p class="quiet">${T.audit.about}</p>
    ${account && html`<p><button type="button" class="chip" onClick=${() => only("")}>${account} ×</button></p>`}
    <${Table} caption=${T.operations.tabs.audit} rows=${data.acts} keyOf=${(/** @type {any} */ row) => row.id} columns=${[
      { title: T.audit.act, kind: "main", cell: (/** @type {any} */ row) => html`<b>${T.audit.kinds[row.kind] ?? row.kind}</b>${row.target && html`<small><${Value}>${row.target}<//></small>`}` },
      { title: T.audit.who, cell: (/** @type {any} */ row) => html`<button type="button" class="link" onClick=${() => only(row.account)}><${Value}>${row.account}<//></button><small>${row.address}</small>` },
      { title: T.audit.result, cell: (/** @type {any} */ row) => T.audit.results[row.result] },
      { title: T.letters.when, cell: (/** @type {any} */ row) => html`${ago(instant(row.date))}<small>${dateTime(instant(row.date))}</small>` },
    ]} />
    <${Pager} start=${start} size=${PAGE} total=${data.total} onStart=${setStart} />`;
}
