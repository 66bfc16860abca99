import { html, useState } from "./libraries.js";
import { address, get, may, whenReady } from "./api.js";
import { ago, instant } from "./format.js";
import { AsOfButton, asOf } from "./as_of.js";
import { Button, Empty, Fault, Heading, LinkButton, Notice, Pager, Skeleton, Table, Value, fullName, go, link, place, useAddressText, useLoad, useTitle } from "./ui.js";
import { EditUser } from "./user.js";
import { T } from "./text.js";

const PAGE = 25;

export function Users() {
  const { job = "", start: from = "0", attribute = "", value = "" } = place.value.query;
  const [text, setText, words] = useAddressText("search");
  const [land, setLand, settledLand] = useAddressText("country");
  const [isAdding, setAdding] = useState(false);
  const [told, setTold] = useState("");
  const start = Number(from);
  useTitle(T.users.title);
  const point = asOf.value?.value;
  const filters = { search: words, country: settledLand, job, ...(attribute && value ? { [`attributes.${attribute}`]: value } : {}), asOf: point };
  const { data: loaded, error, isLoading, reload } = useLoad(async (signal) => ({ ...(await whenReady(() => get("audience", { ...filters, start, pageSize: PAGE }, signal), setTold, signal)), point }), [JSON.stringify(filters), start]);
  const data = loaded?.point === point ? loaded : null; // what is now is never shown as what was then
  const attributes = useLoad((signal) => get("admin/attributes", {}, signal), []);
  const query = { search: words, country: settledLand, job, attribute, value };
  const isFiltered = words || settledLand || job || (attribute && value);
  const showAll = () => { setText(""); setLand(""); go("users"); };
  return html`
    <${Heading} title=${T.users.title} about=${data && !error ? T.users.count(data.total) : ""}>
      <${AsOfButton} />
      ${data?.total !== 0 && html`<${LinkButton} icon="down" href=${address("audience/export", { ...filters, format: "csv" })} download="users.csv">${isFiltered ? T.users.exportThese : T.users.export}<//>`}
      ${may("importer") && !asOf.value && html`<${Button} kind="primary" onClick=${() => setAdding(true)}>${T.users.add}<//>`}
    <//>
    <form class="filters" role="search" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <input type="search" aria-label=${T.users.search} placeholder=${T.users.search} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
      <input class="narrow" aria-label=${T.fields.country} placeholder=${T.fields.country} value=${land} onInput=${(/** @type {any} */ event) => setLand(event.target.value)} />
      ${attributes.data?.total > 0 && html`
        <select aria-label=${T.users.attribute} value=${attribute} onChange=${(/** @type {any} */ event) => go("users", { ...query, attribute: event.target.value })}>
          <option value="">${T.users.attribute}</option>
          ${attributes.data.attributes.map((/** @type {any} */ each) => html`<option key=${each.name} value=${each.name}>${each.label ?? each.name}</option>`)}</select>
        ${attribute && html`<input class="narrow" aria-label=${T.users.attributeValue} placeholder=${T.users.attributeValue} value=${value} onChange=${(/** @type {any} */ event) => go("users", { ...query, value: event.target.value })} />`}`}
      ${job && html`<button type="button" class="chip" onClick=${() => go("users", { ...query, job: "" })}>${T.users.ofJob(job)} ×</button>`}
    </form>
    <${Fault} error=${error} again=${reload} />
    ${error ? "" : !data ? html`${point && html`<${Notice}>${told || T.asOf.wait}<//>`}<${Skeleton} rows=${10} />`
      : data.audience.length === 0 && isLoading ? html`<${Skeleton} rows=${10} />`
      : data.audience.length === 0 ? html`<${Empty} icon="users" title=${isFiltered ? T.users.none : point ? T.users.emptyThen : T.users.empty}>${isFiltered ? html`${T.users.noneAbout}<p><${Button} onClick=${showAll}>${T.showAll}<//></p>`
        : !point && html`${T.users.emptyAbout}${may("importer") && html`<p><${LinkButton} icon="import" href=${link("import")}>${T.import.title}<//></p>`}`}<//>`
      : html`<div aria-busy=${isLoading}><${Table} caption=${T.users.title} rows=${data.audience} keyOf=${(/** @type {any} */ row) => row.id} onRow=${(/** @type {any} */ row) => go(`users/${row.id}`)} columns=${[
        { title: T.users.name, kind: "main", cell: (/** @type {any} */ row) => html`<a href=${link(`users/${row.id}`)}><bdi class="value">${fullName(row) || T.noName}</bdi></a>` },
        { title: T.fields.email, kind: "bare", cell: (/** @type {any} */ row) => html`<${Value}>${row.email}<//>` },
        { title: T.fields.mobileNumber, kind: "extra", cell: (/** @type {any} */ row) => html`<${Value}>${row.mobileNumber}<//>` },
        { title: T.fields.country, kind: "bare", cell: (/** @type {any} */ row) => html`<${Value}>${[row.country, row.state].filter(Boolean).join(", ")}<//>` },
        { title: T.users.modified, kind: "when extra", cell: (/** @type {any} */ row) => ago(instant(row.lastModifiedDateStr)) },
      ]} /></div>
      <${Pager} start=${start} size=${PAGE} total=${data.total} onStart=${(/** @type {number} */ next) => go("users", { ...query, start: next })} />`}
    ${isAdding && html`<${EditUser} onClose=${() => setAdding(false)} onDone=${(/** @type {string} */ id) => go(`users/${id}`)} />`}`;
}
