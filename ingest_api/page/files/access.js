// Accounts, tokens, custom attributes and presets: lists with what can be done to each.
import { html, useState } from "./libraries.js";
import { get, may, post, put, session } from "./api.js";
import { ago, dateTime, instant } from "./format.js";
import { Button, Confirm, Dialog, Empty, Fault, Field, Notice, Skeleton, Table, Value, announce, useLoad } from "./ui.js";
import { T } from "./text.js";

const ROLES = ["reader", "importer", "manager", "admin"];

/** A list with what can be done to its rows: `ask` says it, each with a request (`does`) or a dialog (`Add`). @param {any} props */
export function List({ path, name, about, empty, columns, add, Add, ask, mayChange = "admin" }) {
  const [asked, setAsked] = useState(/** @type {any} */ (null));
  const [secret, setSecret] = useState(/** @type {any} */ (null));
  const { data, error, reload } = useLoad((signal) => get(path, ["accounts", "tokens", "webhooks"].includes(name) ? { pageSize: 1000 } : {}, signal), []);
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} />`;
  const close = () => setAsked(null);
  const done = (/** @type {any} */ shown = null) => { close(); setSecret(shown); reload(); };
  const actions = may(mayChange) && ask ? [{ title: T.access.do, kind: "do", cell: (/** @type {any} */ row) => html`<div class="actions">${ask(row).map((/** @type {any} */ each) => html`<${Button} key=${each.name} kind=${each.kind} onClick=${() => setAsked(each)}>${each.name}<//>`)}</div>` }] : [];
  return html`
    <div class="heading"><p class="quiet">${about}</p><div class="actions">${add && may(mayChange) && html`<${Button} kind="primary" onClick=${() => setAsked({ Add })}>${add}<//>`}</div></div>
    ${data[name].length ? html`<${Table} caption=${about} rows=${data[name]} columns=${[...columns, ...actions]} />` : html`<${Empty} icon=${empty.icon} title=${empty.title}>${empty.about}<//>`}
    ${asked?.Add && html`<${asked.Add} row=${asked.row} onClose=${close} onDone=${done} />`}
    ${asked?.does && html`<${Confirm} title=${asked.title} action=${asked.name} kind=${asked.kind === "danger-quiet" ? "danger" : "primary"} onClose=${close}
      onDo=${async () => { const answer = await asked.does(); announce(answer.message ?? T.access.done); done(); asked.next?.(); }}><p>${asked.about}</p><//>`}
    ${secret && html`<${Secret} ...${secret} onClose=${() => setSecret(null)} />`}`;
}

/** Shown this once. @param {any} props */
function Secret({ title, text, onClose }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => { await navigator.clipboard?.writeText(text); setCopied(true); announce(T.access.copied); };
  return html`
  <${Dialog} title=${title} onClose=${onClose}><div class="body"><p>${T.access.once}</p><pre class="secret" tabindex="0">${text}</pre></div>
    <footer>${navigator.clipboard && html`<${Button} icon=${isCopied ? "check" : undefined} onClick=${copy}>${isCopied ? T.access.copied : T.access.copy}<//>`}<${Button} kind="primary" onClick=${onClose}>${T.close}<//></footer><//>`;
}

/** A dialog with a form; `fields`: {name, label, kind?, choices?, hint?, value?}. @param {any} props */
export function Form({ title, action, fields, send, onClose, children }) {
  const [values, setValues] = useState(Object.fromEntries(fields.map((/** @type {any} */ each) => [each.name, each.value ?? ""])));
  const set = (/** @type {string} */ name, /** @type {any} */ value) => setValues((/** @type {any} */ then) => ({ ...then, [name]: value }));
  const isReady = fields.every((/** @type {any} */ each) => each.isOptional || values[each.name] !== "");
  return html`
    <${Confirm} title=${title} action=${action} isReady=${isReady} onClose=${onClose} onDo=${() => send(values)}>${children}
      ${fields.map((/** @type {any} */ each) => html`<${Field} key=${each.name} label=${each.label} hint=${each.hint}>${(/** @type {any} */ about) => (each.choices
        ? html`<select ...${about} value=${values[each.name]} onChange=${(/** @type {any} */ event) => set(each.name, event.target.value)}>${Object.entries(each.choices).map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}</select>`
        : html`<input ...${about} type=${each.kind ?? "text"} autocomplete=${each.kind === "password" ? "new-password" : "off"} min=${each.kind === "number" ? 1 : undefined} value=${values[each.name]} onInput=${(/** @type {any} */ event) => set(each.name, event.target.value)} />`)}<//>`)}
    <//>`;
}

const role = { name: "role", label: T.access.role, choices: Object.fromEntries(ROLES.map((each) => [each, `${T.roles[each]}: ${T.roleAbouts[each]}`])), value: "importer" };
export const by = (/** @type {string} */ who, /** @type {string} */ when, /** @type {string} */ title) => ({ title, cell: (/** @type {any} */ row) => html`<${Value}>${row[who]}<//><small>${dateTime(instant(row[when]))}</small>` });
const named = (/** @type {string} */ title) => ({ title, kind: "main", cell: (/** @type {any} */ row) => html`<b><${Value}>${row.name}<//></b>` });
const roleColumn = { title: T.access.role, cell: (/** @type {any} */ row) => T.roles[row.role] };
const path = (/** @type {string[]} */ ...parts) => parts.map(encodeURIComponent).join("/");

export const Accounts = () => html`<${List} path="admin/accounts" name="accounts" about=${T.access.accounts} empty=${{}} add=${T.access.addAccount} Add=${AddAccount}
  columns=${[named(T.access.name), roleColumn, { title: T.access.changed, cell: (/** @type {any} */ row) => ago(instant(row.modifiedDate)) }]}
  ask=${(/** @type {any} */ row) => [
    { name: T.access.change, Add: ChangeAccount, row },
    ...(row.name === session.value?.name ? [] : [{ name: T.access.delete, kind: "danger-quiet", title: T.access.deleteTitle(row.name), about: T.access.deleteAccount, does: () => post(`admin/accounts/${path(row.name)}/delete`) }]),
  ]} />`;

const AddAccount = (/** @type {any} */ { onClose, onDone }) => html`<${Form} title=${T.access.addAccount} action=${T.access.addAccount} onClose=${onClose}
  fields=${[{ name: "name", label: T.access.name }, role, { name: "password", label: T.signIn.password, kind: "password", isOptional: true, hint: T.access.generated }]}
  send=${async (/** @type {any} */ { name, role: chosen, password }) => {
    const answer = await post("admin/accounts", { name, role: chosen, ...(password ? { password } : {}) });
    onDone(answer.password && { title: T.access.passwordOf(name), text: answer.password });
  }} />`;

const ChangeAccount = (/** @type {any} */ { row, onClose, onDone }) => html`<${Form} title=${T.access.changeTitle(row.name)} action=${T.save} onClose=${onClose}
  fields=${[{ ...role, value: row.role }, { name: "password", label: T.access.newPassword, kind: "password", isOptional: true, hint: T.access.newPasswordHint }]}
  send=${async (/** @type {any} */ { role: chosen, password }) => {
    await put(`admin/accounts/${path(row.name)}`, { role: chosen, ...(password ? { password } : {}) });
    onDone();
  }} />`;

export const Tokens = () => html`<${List} path="admin/tokens" name="tokens" about=${T.access.tokens} empty=${{ icon: "key", ...T.access.noTokens }} add=${T.access.addToken} Add=${AddToken}
  columns=${[named(T.access.name), roleColumn, by("createdBy", "createdDate", T.access.made),
    { title: T.access.expires, cell: (/** @type {any} */ row) => (row.expiresDate ? dateTime(instant(row.expiresDate)) : T.access.never) },
    { title: T.access.used, cell: (/** @type {any} */ row) => (row.lastUsedDate ? ago(instant(row.lastUsedDate)) : T.access.neverUsed) }]}
  ask=${(/** @type {any} */ row) => [{ name: T.access.delete, kind: "danger-quiet", title: T.access.deleteTitle(row.name), about: T.access.deleteToken, does: () => post(`admin/tokens/${row.id}/delete`) }]} />`;

const AddToken = (/** @type {any} */ { onClose, onDone }) => html`<${Form} title=${T.access.addToken} action=${T.access.addToken} onClose=${onClose}
  fields=${[{ name: "name", label: T.access.name, hint: T.access.tokenName }, role, { name: "days", label: T.access.days, kind: "number", isOptional: true, hint: T.access.daysHint }]}
  send=${async (/** @type {any} */ { name, role: chosen, days }) => {
    const answer = await post("admin/tokens", { name, role: chosen, ...(days ? { expiresInDays: Number(days) } : {}) });
    onDone({ title: T.access.tokenOf(name), text: answer.token });
  }} />`;

export const Attributes = () => html`<${List} path="admin/attributes" name="attributes" about=${T.access.attributes} empty=${{ icon: "users", ...T.access.noAttributes }} add=${T.access.addAttribute} Add=${AddAttribute}
  columns=${[{ title: T.access.name, kind: "main", cell: (/** @type {any} */ row) => html`<b><${Value}>${row.label ?? row.name}<//></b>${row.label && html`<small>${row.name}</small>`}` },
    { title: T.access.type, cell: (/** @type {any} */ row) => T.access.types[row.type] ?? row.type },
    { title: T.jobs.state, cell: (/** @type {any} */ row) => [row.isRetired ? T.access.retired : T.access.inUse, row.isReconciliationKey && T.access.isKey].filter(Boolean).join(", ") },
    by("definedBy", "definedDate", T.access.made)]}
  ask=${(/** @type {any} */ row) => [
    { name: T.access.rename, Add: Rename, row },
    { name: row.isRetired ? T.access.restore : T.access.retire, title: row.isRetired ? T.access.restore : T.access.retire, about: T.access.retireAbout, does: () => put(`admin/attributes/${path(row.name)}`, { isRetired: !row.isRetired }) },
  ]} />`;

const AddAttribute = (/** @type {any} */ { onClose, onDone }) => html`<${Form} title=${T.access.addAttribute} action=${T.access.addAttribute} onClose=${onClose}
  fields=${[{ name: "name", label: T.access.name }, { name: "type", label: T.access.type, choices: T.access.types, value: "string" }]}
  send=${async (/** @type {any} */ body) => { await post("admin/attributes", body); onDone(); }}><${Notice}>${T.access.forEver}<//><//>`;

const Rename = (/** @type {any} */ { row, onClose, onDone }) => html`<${Form} title=${T.access.rename} action=${T.save} onClose=${onClose}
  fields=${[{ name: "label", label: T.access.label, value: row.label ?? "", isOptional: true, hint: T.access.labelHint(row.name) }]}
  send=${async (/** @type {any} */ { label }) => { await put(`admin/attributes/${path(row.name)}`, { label: label || null }); onDone(); }} />`;

/** What an option says; of columns what each becomes. @param {string} name @param {string[]} values */
function meaning(name, values) {
  if (name !== "columns" || !values[0]?.startsWith("{")) return values.join(", ");
  const columns = /** @type {[string, string | null][]} */ (Object.entries(JSON.parse(values[0])));
  return columns.map(([header, field]) => `${header} → ${field ?? T.columns.leaveOut}`).join(", ");
}

export const Presets = () => html`<${List} path="audience/presets" name="presets" about=${T.access.presets} empty=${{ icon: "import", ...T.access.noPresets }} mayChange="manager"
  columns=${[named(T.access.name), { title: T.access.options, cell: (/** @type {any} */ row) => html`<ul class="plain">${Object.entries(row.options).map(([name, values]) => html`<li key=${name}><code>${name}</code> <span class="quiet">${meaning(name, values)}</span></li>`)}</ul>` }, by("definedBy", "definedDate", T.access.made)]}
  ask=${(/** @type {any} */ row) => [{ name: T.access.delete, kind: "danger-quiet", title: T.access.deleteTitle(row.name), about: T.access.deletePreset, does: () => post(`audience/presets/${path(row.name)}/delete`) }]} />`;
