// What is different between an earlier point and now.
import { html, useState } from "./libraries.js";
import { address, get, whenReady } from "./api.js";
import { Button, Change, Counts, Empty, Fault, Heading, LinkButton, Notice, Skeleton, Table, Value, link, useLoad, useTitle } from "./ui.js";
import { asOf } from "./as_of.js";
import { T } from "./text.js";

const PAGE = 50;
const KINDS = /** @type {[string, string][]} */ ([["added", "insert"], ["changed", "update"], ["removed", "delete"]]);

export function Changes() {
  const [told, setTold] = useState("");
  const [kind, setKind] = useState("");
  const [more, setMore] = useState(/** @type {any[]} */ ([]));
  const from = asOf.value?.value;
  useTitle(T.changes.title);
  const query = { from, to: "now", kind: kind ? [kind] : [], pageSize: PAGE };
  const { data, error, reload } = useLoad(async (signal) => {
    setMore([]);
    return from ? whenReady(() => get("audience/diff", query, signal), setTold, signal) : null;
  }, [from, kind]);
  const counts = useLoad((signal) => (from ? whenReady(() => get("audience/diff", { from, to: "now", pageSize: 1 }, signal), () => {}, signal) : Promise.resolve(null)), [from]);
  if (!from) return html`<${Heading} title=${T.changes.title} /><${Empty} icon="clock" title=${T.changes.noPoint}><a href=${link("users")}>${T.users.title}</a><//>`;
  const rows = [...(data?.entries ?? []), ...more.flat()];
  const last = more.at(-1) ?? data?.entries ?? [];
  const next = async () => {
    const page = await get("audience/diff", { ...query, after: last.at(-1).key });
    setMore([...more, page.entries]);
  };
  return html`
    <p class="path"><a href=${link("users")}>${T.users.title}</a> /</p>
    <${Heading} title=${T.changes.title}>
      <${LinkButton} icon="down" href=${address("audience/export", { asOf: from, format: "csv" })} download="users.csv">${T.changes.exportThen}<//>
    <//>
    <${Fault} error=${error} again=${reload} />
    ${!data ? !error && html`${told && html`<${Notice}>${told}<//>`}<${Skeleton} rows=${8} />` : html`
      ${counts.data && html`<section class="card"><${Counts} parts=${KINDS.map(([name, color]) => ({ name: T.changes.kinds[name], count: counts.data[name], kind: color }))} /></section>`}
      <div class="segments">${["", ...KINDS.map(([name]) => name)].map((each) => html`
        <button key=${each} type="button" aria-pressed=${each === kind ? "true" : "false"} onClick=${() => setKind(each)}>${each ? T.changes.kinds[each] : T.changes.all}</button>`)}</div>
      ${rows.length === 0 ? html`<${Empty} icon="check" title=${T.changes.none}><//>` : html`
        <${Table} caption=${T.changes.title} rows=${rows} keyOf=${(/** @type {any} */ row) => row.key} columns=${[
          { title: T.fields.key, kind: "main", cell: (/** @type {any} */ row) => html`${row.kind === "removed" ? html`<b><${Value}>${row.key}<//></b>` : html`<a href=${link(`users/${row.id}`)} onClick=${() => { asOf.value = null; }}><bdi class="value">${row.key}</bdi></a>`}<small>${T.changes.kinds[row.kind]}</small>` },
          { title: T.preview.changes, cell: (/** @type {any} */ row) => html`<${Change} before=${row.before ?? {}} after=${row.after ?? {}} />` },
        ]} />
        ${last.length === PAGE && html`<p><${Button} onClick=${next}>${T.changes.more}<//></p>`}`}`}`;
}
