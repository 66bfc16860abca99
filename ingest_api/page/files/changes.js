// What is different between two points in time.
import { html, useState } from "./libraries.js";
import { download, get, whenReady } from "./api.js";
import { Back, Button, Change, Counts, Empty, Fault, Heading, Notice, Skeleton, Table, Value, fullName, go, link, place, useLoad, useTitle } from "./ui.js";
import { DayField, asOf, isDay, pointOf } from "./as_of.js";
import { T } from "./text.js";

const PAGE = 25;
const KINDS = /** @type {[string, string][]} */ ([["added", "insert"], ["changed", "update"], ["removed", "delete"]]);

export function Changes() {
  const { from = "", to = "" } = place.value.query;
  const [earlier, later] = [pointOf(from), pointOf(to)];
  const choose = (/** @type {any} */ changes) => go("changes", { from, to, ...changes });
  useTitle(T.changes.title);
  const points = from ? { from: earlier?.value ?? "now", to: later?.value ?? "now" } : null;
  return html`
    <${Back} to="users" title=${T.users.title} />
    <${Heading} title=${T.changes.title} />
    <form class="row" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <${Side} label=${T.changes.from} jobLabel=${T.changes.fromJob} text=${from} onText=${(/** @type {string} */ text) => choose({ from: text })} />
      <${Side} label=${T.changes.to} jobLabel=${T.changes.toJob} hint=${T.changes.toHint} text=${to} onText=${(/** @type {string} */ text) => choose({ to: text })} />
    </form>
    ${points ? html`<${Differences} key=${JSON.stringify(points)} points=${points} later=${later} />`
      : html`<${Empty} icon="clock" title=${T.changes.noPoint}>${T.changes.noPointAbout}<//>`}`;
}

/** A day, or the job that was chosen elsewhere. @param {any} props */
const Side = ({ label, jobLabel, hint, text, onText }) => (text && !isDay(text)
  ? html`<div class="field"><span class="label">${jobLabel}</span><p><${JobChip} key=${text} id=${text} onClick=${() => onText("")} /></p></div>`
  : html`<${DayField} label=${label} hint=${hint} value=${text} onValue=${onText} />`);

/** @param {{id: string, onClick: () => void}} props */
function JobChip({ id, onClick }) {
  const { data } = useLoad((signal) => get(`batchinfo/status/${encodeURIComponent(id)}`, {}, signal), [id]);
  return html`<button type="button" class="chip" onClick=${onClick}>${T.asOf.after(data?.fileName ?? T.asOf.job(id))} ×</button>`;
}

/** A user in a few words. @param {any} user */
const whoIs = (user) => [fullName(user), user.country, user.state].filter(Boolean).join(", ");

/** @param {{points: {from: string, to: string}, later: import("./as_of.js").Point | null}} props */
function Differences({ points, later }) {
  const [told, setTold] = useState("");
  const [kind, setKind] = useState("");
  const [more, setMore] = useState(/** @type {any[]} */ ([]));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const query = { ...points, kind: kind ? [kind] : [] };
  const { data, error, isLoading, reload } = useLoad(async (signal) => {
    const page = await whenReady(() => get("audience/diff", { ...query, pageSize: PAGE }, signal), setTold, signal);
    setMore([]);
    return page;
  }, [kind]);
  const rows = [...(data?.entries ?? []), ...more.flat()];
  const last = more.at(-1) ?? data?.entries ?? [];
  async function busily(/** @type {() => Promise<void>} */ work) {
    setBusy(true);
    setFault(null);
    await work().catch(setFault);
    setBusy(false);
  }
  const next = () => busily(async () => {
    const page = await get("audience/diff", { ...query, pageSize: PAGE, after: last.at(-1).key });
    setMore([...more, page.entries]);
  });
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Notice}>${told || T.asOf.wait}<//><${Skeleton} rows=${8} />`;
  const total = KINDS.reduce((sum, [name]) => sum + (data[name] ?? 0), 0);
  if (!total) return html`<${Empty} icon="check" title=${T.changes.none}><//>`;
  return html`
    <section class="card"><${Counts} parts=${KINDS.map(([name, color]) => ({ name: T.changes.kinds[name], count: data[name], kind: color }))} /></section>
    <div class="heading"><div class="segments">${["", ...KINDS.map(([name]) => name)].map((each) => html`
      <button key=${each} type="button" aria-pressed=${each === kind ? "true" : "false"} onClick=${() => setKind(each)}>${each ? T.changes.kinds[each] : T.changes.all}</button>`)}</div>
      <${Button} icon="down" isBusy=${isBusy} onClick=${() => busily(() => download("audience/diff", "text/csv", T.changes.fileName, query))}>${T.changes.export}<//></div>
    <${Fault} error=${fault ?? error} />
    <div aria-busy=${isLoading}><${Table} caption=${T.changes.title} rows=${rows} keyOf=${(/** @type {any} */ row) => row.key} columns=${[
      { title: T.fields.key, kind: "main", cell: (/** @type {any} */ row) => html`${row.kind === "removed" ? html`<b><${Value}>${row.key}<//></b>` : html`<a href=${link(`users/${row.id}`)} onClick=${() => { asOf.value = later; }}><bdi class="value">${row.key}</bdi></a>`}<small>${T.changes.kinds[row.kind]}</small>` },
      { title: T.changes.who, kind: "bare", cell: (/** @type {any} */ row) => (row.kind === "changed" ? html`<${Change} before=${row.before} after=${row.after} />` : html`<${Value}>${whoIs(row.after ?? row.before)}<//>`) },
    ]} /></div>
    ${last.length === PAGE && html`<p><${Button} isBusy=${isBusy} onClick=${next}>${T.changes.more}<//></p>`}`;
}
