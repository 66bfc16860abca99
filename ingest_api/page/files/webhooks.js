// Who is told of imports and alarms, what was sent to each, and how it answered.
import { html, useState } from "./libraries.js";
import { get, post, put } from "./api.js";
import { ago, dateTime, instant, number } from "./format.js";
import { Back, Button, Confirm, Empty, Fault, Notice, Pager, Skeleton, Table, Value, announce, go, link, useEvery, useLoad } from "./ui.js";
import { Form, List, by } from "./access.js";
import { T } from "./text.js";

const PAGE = 25;
const EVENTS = /** @type {Record<string, string[]>} */ ({
  all: Object.keys(T.webhooks.kinds).filter((each) => each !== "webhook.test"),
  jobs: ["job.completed", "job.completed_with_errors", "job.failed", "job.cancelled", "job.undone"],
  wrong: ["job.completed_with_errors", "job.failed", "alarm.raised", "alarm.cleared"],
});

/** The choice that means these events; none where they were chosen one by one. @param {string[]} events */
const choiceOf = (events) => Object.keys(EVENTS).find((each) => [...EVENTS[each]].sort().join() === [...events].sort().join());
/** @param {any} row */
const told = (row) => { const choice = choiceOf(row.events); return choice ? T.webhooks.choices[choice] : row.events.map((/** @type {string} */ each) => T.webhooks.kinds[each] ?? each).join(", "); };
/** @param {string} url */
const receiver = (url) => url.replace(/^mailto:/, "");
const tryIt = (/** @type {any} */ row, /** @type {() => void} */ next) => ({ name: T.webhooks.test, title: T.webhooks.test, about: T.webhooks.testAbout, does: () => post(`webhooks/${row.id}/test`), next });

/** @param {{id?: string}} props */
export const Webhooks = ({ id }) => (id ? html`<${Deliveries} key=${id} id=${id} />` : html`<${List} path="webhooks" name="webhooks" about=${T.webhooks.about} empty=${{ icon: "bell", ...T.webhooks.empty }} add=${T.webhooks.add} Add=${AddWebhook} mayChange="importer"
  columns=${[{ title: T.webhooks.to, kind: "main", cell: (/** @type {any} */ row) => html`<a href=${link(`operations/webhooks/${row.id}`)}><${Value}>${receiver(row.url)}<//></a><small>${told(row)}</small>` },
    { title: T.jobs.state, cell: (/** @type {any} */ row) => html`<span class="state ${row.isActive ? "active" : ""}">${row.isActive ? T.webhooks.on : T.webhooks.off}</span>` },
    { title: T.webhooks.whose, cell: (/** @type {any} */ row) => (row.ownJobs ? T.webhooks.own : T.webhooks.everybody) }, by("owner", "createdDate", T.access.made)]}
  ask=${(/** @type {any} */ row) => [
    tryIt(row, () => go(`operations/webhooks/${row.id}`)),
    { name: T.access.change, Add: ChangeWebhook, row },
    { name: T.access.delete, kind: "danger-quiet", title: T.webhooks.deleteTitle, about: T.webhooks.deleteAbout, does: () => post(`webhooks/${row.id}/delete`) },
  ]} />`);

const whose = { name: "whose", label: T.webhooks.whose, choices: { all: T.webhooks.everybody, own: T.webhooks.own } };

const AddWebhook = (/** @type {any} */ { onClose, onDone }) => html`<${Form} title=${T.webhooks.add} action=${T.webhooks.add} onClose=${onClose}
  fields=${[{ name: "url", label: T.webhooks.to, hint: T.webhooks.toHint }, { name: "events", label: T.webhooks.events, choices: T.webhooks.choices, value: "all" }, { ...whose, value: "own" }]}
  send=${async (/** @type {any} */ values) => {
    const url = values.url.trim();
    const isMail = url.includes("@") && !url.includes(":");
    const answer = await post("webhooks", { url: isMail ? `mailto:${url}` : url, ownJobs: values.whose === "own", events: EVENTS[values.events] });
    onDone(isMail || url.startsWith("mailto:") ? null : { title: T.webhooks.secret, text: answer.secret });
  }} />`;

const ChangeWebhook = (/** @type {any} */ { row, onClose, onDone }) => {
  const choice = choiceOf(row.events) ?? "kept";
  return html`<${Form} title=${T.access.changeTitle(receiver(row.url))} action=${T.save} onClose=${onClose}
    fields=${[{ name: "events", label: T.webhooks.events, choices: choice === "kept" ? { kept: told(row), ...T.webhooks.choices } : T.webhooks.choices, value: choice }, { ...whose, value: row.ownJobs ? "own" : "all" },
      { name: "isActive", label: T.jobs.state, choices: { yes: T.webhooks.on, no: T.webhooks.off }, value: row.isActive ? "yes" : "no", hint: T.webhooks.offAbout }]}
    send=${async (/** @type {any} */ values) => {
      await put(`webhooks/${row.id}`, { ownJobs: values.whose === "own", isActive: values.isActive === "yes", ...(values.events === "kept" ? {} : { events: EVENTS[values.events] }) });
      onDone();
    }} />`;
};

/** @param {{row: any}} props */
function Delivery({ row }) {
  const state = row.state === "pending" && row.attempts > 0 ? "retried" : row.state;
  return html`<span class="state ${state}">${T.webhooks.states[state] ?? state}</span>${state === "retried" && html`<small>${T.webhooks.next(dateTime(instant(row.nextTryDate)))}</small>`}`;
}

/** @param {{id: string}} props */
function Deliveries({ id }) {
  const [start, setStart] = useState(0);
  const [asked, setAsked] = useState(/** @type {any} */ (null));
  const hooks = useLoad((signal) => get("webhooks", { pageSize: 1000 }, signal), [id]);
  const { data, error, reload } = useLoad((signal) => get(`webhooks/${encodeURIComponent(id)}/deliveries`, { start, pageSize: PAGE }, signal), [id, start]);
  useEvery(2000, reload, Boolean(data?.deliveries.some((/** @type {any} */ each) => each.state === "pending")));
  const hook = hooks.data?.webhooks.find((/** @type {any} */ each) => each.id === id);
  const close = () => setAsked(null);
  async function act() {
    const answer = await asked.does();
    announce(answer.message);
    close();
    setStart(0);
    reload();
  }
  const again = (/** @type {any} */ row) => ({ name: T.webhooks.again, title: T.webhooks.again, about: T.webhooks.againAbout, does: () => post(`webhooks/${id}/deliveries/${row.id}/redeliver`) });
  return html`
    <${Back} to="operations/webhooks" title=${T.operations.tabs.webhooks} />
    ${hook && html`<div class="heading"><div><h2><bdi>${receiver(hook.url)}</bdi></h2><p class="quiet">${T.webhooks.deliveriesAbout}</p></div>
      <div class="actions"><${Button} onClick=${() => setAsked(tryIt(hook, () => {}))}>${T.webhooks.test}<//></div></div>
      ${!hook.isActive && html`<${Notice} kind="warn">${T.webhooks.ended}<//>`}`}
    <${Fault} error=${error ?? hooks.error} again=${reload} />
    ${!data ? !error && html`<${Skeleton} rows=${6} />`
      : !data.total ? html`<${Empty} icon="bell" title=${T.webhooks.none.title}>${T.webhooks.none.about}<//>`
      : html`<${Table} caption=${T.webhooks.deliveries} rows=${data.deliveries} keyOf=${(/** @type {any} */ row) => row.id} columns=${[
        { title: T.webhooks.what, kind: "main", cell: (/** @type {any} */ row) => html`<b>${T.webhooks.kinds[row.type] ?? row.type}</b><small title=${dateTime(instant(row.date))}>${ago(instant(row.date))}</small>` },
        { title: T.jobs.state, cell: (/** @type {any} */ row) => html`<${Delivery} row=${row} />` },
        { title: T.webhooks.answer, cell: (/** @type {any} */ row) => html`${row.status && html`<b>${row.status}</b> `}${(row.answer || !row.status) && html`<${Value}>${row.answer}<//>`}` },
        { title: T.webhooks.tries, kind: "num", cell: (/** @type {any} */ row) => number(row.attempts) },
        { title: T.access.do, kind: "do", cell: (/** @type {any} */ row) => html`<div class="actions"><${Button} disabled=${row.state === "pending" && !row.attempts} onClick=${() => setAsked(again(row))}>${T.webhooks.again}<//></div>` },
      ]} />
      <${Pager} start=${start} size=${PAGE} total=${data.total} onStart=${setStart} />`}
    ${asked && html`<${Confirm} title=${asked.title} action=${asked.name} onClose=${close} onDo=${act}><p>${asked.about}</p><//>`}`;
}
