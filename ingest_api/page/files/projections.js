import { html, useState } from "./libraries.js";
import { get, post } from "./api.js";
import { ago, dateTime, instant, number, percent } from "./format.js";
import { Button, Confirm, Fault, Notice, Skeleton, Table, Value, announce, useEvery, useLoad } from "./ui.js";
import { T } from "./text.js";

const WORKING = ["requested", "building"];

export function Projections() {
  const [asked, setAsked] = useState(/** @type {"rebuild" | "verify" | null} */ (null));
  const { data, error, reload } = useLoad((signal) => get("admin/projections", { pageSize: 20 }, signal), []);
  useEvery(1500, reload, Boolean(data?.projections.some((/** @type {any} */ each) => WORKING.includes(each.state))));
  async function act() {
    await post("admin/projections", { purpose: asked });
    announce(T.tables.asked);
    setAsked(null);
    reload();
  }
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} rows=${6} />`;
  return html`
    <div class="heading"><p class="quiet">${T.tables.about}</p><div class="actions">
      <${Button} onClick=${() => setAsked("verify")}>${T.tables.verify}<//><${Button} onClick=${() => setAsked("rebuild")}>${T.tables.rebuild}<//></div></div>
    <${Table} caption=${T.operations.tabs.tables} rows=${data.projections} keyOf=${(/** @type {any} */ row) => row.number} columns=${[
      { title: T.tables.purpose, kind: "main", cell: (/** @type {any} */ row) => html`<b>${T.tables.purposes[row.purpose] ?? row.purpose}</b> <span class="quiet">${number(row.number)}</span>${row.asOf && html`<small>${/^\d+$/.test(row.asOf) ? T.asOf.job(row.asOf) : dateTime(new Date(row.asOf))}</small>`}` },
      { title: T.jobs.state, cell: (/** @type {any} */ row) => html`<${How} row=${row} />` },
      { title: T.jobs.who, cell: (/** @type {any} */ row) => html`<${Value}>${row.requestedBy}<//><small>${ago(instant(row.requestedDate))}</small>` },
    ]} />
    ${asked && html`<${Confirm} title=${T.tables[asked]} action=${T.tables[asked]} onDo=${act} onClose=${() => setAsked(null)}><p>${T.tables.abouts[asked]}</p><//>`}`;
}

/** @param {{row: any}} props */
function How({ row }) {
  if (row.state === "building" && row.recordsTotal) {
    return html`<progress max=${row.recordsTotal} value=${row.recordsDone} aria-label=${T.tables.states.building}></progress>
      <small>${percent(row.recordsDone, row.recordsTotal)} · ${row.step ?? ""}</small>`;
  }
  const tables = Object.entries(row.result?.tables ?? {});
  const differing = tables.filter(([, each]) => !each.isEqual && !each.equal);
  return html`<span class="state ${row.state}">${T.tables.states[row.state] ?? row.state}</span>
    ${row.failure && html`<${Notice} kind="bad">${row.failure}<//>`}
    ${tables.length > 0 && html`<small>${differing.length ? T.tables.differ(differing.map(([name]) => name).join(", ")) : T.tables.equal(tables.length)}</small>`}`;
}
