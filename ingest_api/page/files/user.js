// One user: what is known, what made it so, and changes to it.
import { html, useState } from "./libraries.js";
import { ApiError, get, may, post, put, whenReady } from "./api.js";
import { dateTime, day, instant } from "./format.js";
import { AsOfButton, asOf } from "./as_of.js";
import { Back, Button, Change, Confirm, Empty, Fault, Field, Heading, Notice, Skeleton, Value, announce, fieldName, fullName, go, link, useLoad, useTitle } from "./ui.js";
import { T } from "./text.js";

const TEXTS = ["firstName", "lastName", "email", "mobileNumber", "country", "state"];
const NEEDED = ["firstName", "lastName", "email", "country"];
const SUBSCRIPTIONS = ["emailSubscription", "smsSubscription", "voiceSubscription"];

/** @param {{id: string}} props */
export function User({ id }) {
  const [asked, setAsked] = useState(/** @type {string | null} */ (null));
  const point = asOf.value?.value;
  const user = useLoad(async (signal) => ({ ...(await whenReady(() => get(`audience/${id}`, { asOf: point }, signal), () => {}, signal)), point }), [id, point]);
  const history = useLoad((signal) => get(`audience/${id}/history`, {}, signal), [id]);
  const found = !user.error && user.data?.point === point ? user.data : null;
  const name = found ? fullName(found) || found.email || id : T.user.title;
  const isAbsent = point && user.error instanceof ApiError && user.error.status === 400;
  useTitle(name);
  return html`
    <${Back} to="users" title=${T.users.title} />
    <${Heading} title=${html`<bdi>${name}</bdi>`}>
      <${AsOfButton} />
      ${found && !point && may("importer") && html`<${Button} onClick=${() => setAsked("edit")}>${T.user.edit}<//>`}
      ${found && !point && may("admin") && html`<${Button} kind="danger-quiet" onClick=${() => setAsked("delete")}>${T.user.delete}<//>`}
    <//>
    ${isAbsent ? html`<${Empty} icon="clock" title=${T.asOf.absent}>${T.asOf.absentAbout}<//>` : html`<${Fault} error=${user.error} again=${user.reload} />`}
    ${!found && !user.error && html`${point && html`<${Notice}>${T.asOf.wait}<//>`}<${Skeleton} rows=${6} />`}
    <div class="two">
      ${found && html`<section class="card"><h2>${T.user.known}</h2><${Known} user=${found} /></section>`}
      <section class="card"><h2>${T.user.history}</h2>
        <${Fault} error=${history.error} again=${history.reload} />
        ${history.data ? html`<${History} entries=${history.data.history} />` : !history.error && html`<${Skeleton} rows=${5} />`}
      </section>
    </div>
    ${asked === "edit" && html`<${EditUser} user=${found} onClose=${() => setAsked(null)} onDone=${() => { setAsked(null); user.reload(); history.reload(); }} />`}
    ${asked === "delete" && html`<${Confirm} title=${T.user.deleteTitle(name)} kind="danger" action=${T.user.delete} onClose=${() => setAsked(null)}
      onDo=${async () => { await post(`audience/${id}/delete`); announce(T.user.deleted); go("users"); }}><p>${T.user.deleteAbout}</p><//>`}`;
}

/** @param {{user: any}} props */
const Known = ({ user }) => html`
  <dl class="facts-list">
    ${[...TEXTS, ...SUBSCRIPTIONS].map((name) => html`<dt key=${name}>${T.fields[name]}</dt><dd><${Value}>${user[name]}<//></dd>`)}
    ${Object.entries(user.attributes).map(([name, value]) => html`<dt key=${`a ${name}`}>${name}</dt><dd><${Value}>${value}<//></dd>`)}
    <dt>${T.fields.lastActiveDateStr}</dt><dd>${day(instant(user.lastActiveDateStr))}</dd>
    <dt>${T.user.created}</dt><dd>${dateTime(instant(user.createdDateStr))}</dd>
    <dt>${T.users.modified}</dt><dd>${dateTime(instant(user.lastModifiedDateStr))}</dd>
    <dt>${T.fields.id}</dt><dd><code>${user.id}</code></dd>
  </dl>`;

/** The newest first, each to its file and line. @param {{entries: any[]}} props */
const History = ({ entries }) => html`
  <ol class="history">${[...entries].reverse().map((each) => html`
    <li key=${`${each.partition}:${each.offset}`}>
      <p><b>${T.user.events[each.event]}</b> <span class="quiet">${dateTime(instant(each.date))}</span></p>
      <p class="quiet">${each.jobId
        ? html`<a href=${link(`jobs/${each.jobId}`)}><bdi>${each.fileName ?? T.noName}</bdi></a>${each.line ? `, ${T.atLine(each.line)}` : ""} · <bdi>${each.importedBy}</bdi>`
        : html`<bdi>${each.source === "rollcall-api" ? T.user.byApi : each.source ?? ""}</bdi>`} · ${T.user.log(each.partition, each.offset)}</p>
      <${Change} before=${values(each.changes, "before")} after=${values(each.changes, "after")} />
      ${each.optOutsKept.length > 0 && html`<${Notice}>${T.user.optOuts(each.optOutsKept.map(fieldName).join(", "))}<//>`}
    </li>`)}
  </ol>`;

/** @param {any} changes @param {"before" | "after"} when */
const values = (changes, when) => Object.fromEntries(Object.entries(changes).map(([name, change]) => [name, change[when]]));

/** Add or change a user; says what will change before it does. @param {any} props */
export function EditUser({ user, onClose, onDone }) {
  const attributes = useLoad((signal) => get("admin/attributes", {}, signal), []);
  const before = /** @type {Record<string, any>} */ (user ?? { country: "", emailSubscription: true, smsSubscription: true, voiceSubscription: true, attributes: {} });
  const [edited, setEdited] = useState(/** @type {Record<string, any>} */ ({}));
  const [own, setOwn] = useState(/** @type {Record<string, any>} */ ({}));
  const is = (/** @type {string} */ name) => edited[name] ?? before[name] ?? "";
  const set = (/** @type {string} */ name, /** @type {any} */ value) => setEdited((/** @type {any} */ then) => ({ ...then, [name]: value }));
  const changed = Object.fromEntries(Object.entries(edited).filter(([name, value]) => value !== (before[name] ?? "")));
  const changedOwn = Object.fromEntries(Object.entries(own).filter(([name, value]) => String(value) !== String(before.attributes[name] ?? "")));
  const hasOwn = Object.keys(changedOwn).length > 0;
  const isReady = user ? Object.keys(changed).length > 0 || hasOwn : NEEDED.every((name) => is(name));
  const was = (/** @type {string[]} */ names, /** @type {any} */ from) => Object.fromEntries(names.map((name) => [name, from[name]]));
  async function save() {
    const body = { ...(user ? changed : { ...was([...TEXTS, ...SUBSCRIPTIONS], before), ...edited }), ...(hasOwn ? { attributes: typed(changedOwn) } : {}) };
    const answer = user ? await put(`audience/${user.id}`, body) : await post("audience", body);
    announce(answer.message);
    onDone(answer.id);
  }
  const typed = (/** @type {Record<string, any>} */ texts) => Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, value === "" ? null : value]));
  return html`
    <${Confirm} title=${user ? T.user.editTitle : T.users.add} action=${user ? T.save : T.users.add} isReady=${isReady} onDo=${save} onClose=${onClose}>
      <div class="form">${TEXTS.map((name) => html`
        <${Field} key=${name} label=${T.fields[name]} hint=${user ? "" : NEEDED.includes(name) ? T.user.needed : name === "state" ? T.user.neededState : ""}>${(/** @type {any} */ about) => html`
          <input ...${about} dir="auto" value=${is(name)} onInput=${(/** @type {any} */ event) => set(name, event.target.value)} />`}<//>`)}
        ${attributes.data?.attributes.map((/** @type {any} */ each) => html`
          <${Field} key=${each.name} label=${each.label ?? each.name}>${(/** @type {any} */ about) => html`
            <input ...${about} dir="auto" value=${own[each.name] ?? before.attributes[each.name] ?? ""} onInput=${(/** @type {any} */ event) => setOwn((/** @type {any} */ then) => ({ ...then, [each.name]: event.target.value }))} />`}<//>`)}
        <fieldset class="wide"><legend>${T.user.subscriptions}</legend>${SUBSCRIPTIONS.map((name) => html`
          <label class="check" key=${name}><input type="checkbox" checked=${is(name) === true} onChange=${(/** @type {any} */ event) => set(name, event.target.checked)} /><span>${T.fields[name]}</span></label>`)}</fieldset>
      </div>
      ${user && isReady && html`<h3>${T.user.willChange}</h3><${Change} before=${{ ...was(Object.keys(changed), before), ...was(Object.keys(changedOwn), before.attributes) }} after=${{ ...changed, ...changedOwn }} />`}
    <//>`;
}
