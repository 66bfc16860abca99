import { html, useEffect, useRef, useState } from "./libraries.js";
import { get, may, put } from "./api.js";
import { Button, Confirm, Fault, Field, Icon, Notice, Skeleton, Value, announce, useLoad } from "./ui.js";
import { NEW, blocked, change, draft, inspect, isPacked, options } from "./import.js";
import { T } from "./text.js";

const FIELDS = [
  "First Name", "Last Name", "Email", "Mobile Number", "Country", "State", "Last Active Date",
  "SMS Subscription", "Email Subscription", "Voice Subscription",
  "!SMS Subscription", "!Email Subscription", "!Voice Subscription",
];

export function Columns() {
  const { file, inspection, fields, choices, preset } = draft.value;
  const attributes = useLoad((signal) => get("admin/attributes", {}, signal), []);
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const [isSaving, setSaving] = useState(false);
  const more = useRef(/** @type {HTMLDetailsElement | null} */ (null));
  const wanted = JSON.stringify([file?.name, file?.lastModified, fields, choices, preset]);
  const [seen, setSeen] = useState(inspection ? wanted : "");

  useEffect(() => {
    if (seen === wanted) return undefined;
    const stop = new AbortController();
    // A moment's pause: whoever changes three columns wants one answer.
    const timer = setTimeout(async () => {
      setBusy(true);
      try {
        const found = await inspect(stop.signal);
        const known = Object.keys(draft.value.fields).length ? draft.value.fields : suggested(found);
        change({ inspection: found, fields: known, preview: null });
        setSeen(JSON.stringify([file?.name, file?.lastModified, known, choices, preset]));
        setError(null);
        announce(T.columns.found(found.columns.length, found.lines));
      } catch (caught) {
        if (!stop.signal.aborted) setError(caught);
      }
      setBusy(false);
    }, seen ? 400 : 0);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [wanted]);

  const choose = (/** @type {string} */ header, /** @type {string | null} */ field) => change({ fields: { ...draft.value.fields, [header]: field } });
  const set = (/** @type {string} */ name, /** @type {any} */ value) => change({ choices: { ...draft.value.choices, [name]: value || undefined } });
  function askRegion() {
    if (!more.current) return;
    more.current.open = true;
    /** @type {HTMLElement | null} */ (more.current.querySelector("[maxlength='2']"))?.focus();
  }
  if (error && !inspection) {
    return html`<${Fault} error=${error} again=${() => setSeen(" ")} />
      <p><${Button} onClick=${() => change({ step: 0 })}>${T.import.otherFile}<//></p>`;
  }
  if (!inspection) return html`<p class="quiet">${T.columns.looking(file?.name ?? "")}</p><${Skeleton} rows=${6} />`;
  const hasColumns = inspection.columns.length > 0;
  const isReady = !blocked(inspection).length && !error && seen === wanted;
  const own = (attributes.data?.attributes ?? []).filter((/** @type {any} */ each) => !each.isRetired);
  return html`
    <p class="facts"><span><${Icon} name="file" /> <bdi>${file?.name}</bdi></span>
      ${hasColumns && html`<span>${T.columns.lines(inspection.lines)}${file && file.size > 8_000_000 && !isPacked(file) ? ` ${T.columns.ofTheFirst}` : ""}</span>`}
      ${inspection.delimiter && html`<span>${T.columns.delimiter(inspection.delimiter)}</span>`}${hasColumns && html`<span>${inspection.charset.toUpperCase()}</span>`}</p>
    <${Fault} error=${error} />
    ${inspection.refusedFor.length > 0 && html`<${Notice} kind=${blocked(inspection).length ? "bad" : "warn"} title=${blocked(inspection).length ? T.columns.refused : T.columns.missing}><ul>${inspection.refusedFor.map((/** @type {any} */ each) => html`
      <li>${each.line > 1 ? `${T.line(each.line)}: ` : ""}${each.message}</li>`)}</ul><//>`}
    ${inspection.notes.map((/** @type {string} */ note) => html`<${Notice}>${note}<//>`)}
    ${hasColumns && html`<div class="columns" aria-busy=${isBusy}>
      <div class="head" aria-hidden="true"><span>${T.columns.inFile}</span><span>${T.columns.values}</span><span>${T.columns.becomes}</span></div>
      ${inspection.columns.map((/** @type {any} */ column) => html`<${Column} key=${column.number} column=${column} own=${own} chosen=${fields[column.header]}
        faults=${inspection.rejectedBy.filter((/** @type {any} */ each) => each.column === column.header)} onChoose=${choose} onRegion=${inspection.options.phoneRegion ? null : askRegion} />`)}
    </div>`}
    ${inspection.reject > 0 && inspection.reject === inspection.lines ? html`<${Notice} kind="warn" title=${T.columns.rejectAll}>${T.columns.rejectAllAbout}<//>`
      : inspection.reject > 0 ? html`<${Notice} kind="warn" title=${T.columns.reject(inspection.reject)}>${T.columns.rejectAbout}<//>`
      : isReady && inspection.lines > 0 && !inspection.refusedFor.length && html`<${Notice} kind="good">${T.columns.allRight}<//>`}
    ${(inspection.reject > 0 || choices.onInvalidOptional) && html`<label class="check"><input type="checkbox" checked=${choices.onInvalidOptional === "drop"} onChange=${(/** @type {any} */ event) => set("onInvalidOptional", event.target.checked ? "drop" : "")} />
      <span><b>${T.columns.drop}</b><small>${T.columns.dropAbout}</small></span></label>`}
    <details ref=${more}><summary>${T.columns.more}</summary><div class="row">
      <${Choice} name="DELIMITER" choices=${choices} set=${set} all=${T.columns.delimiters} label=${T.columns.delimiterLabel} />
      <${Choice} name="dateOrder" choices=${choices} set=${set} all=${T.columns.dateOrders} label=${T.columns.dateOrder} found=${inspection.options.dateOrder} />
      <${Field} label=${T.columns.phoneRegion} hint=${T.columns.phoneRegionHint}>${(/** @type {any} */ about) => html`
        <input ...${about} maxlength="2" size="4" value=${choices.phoneRegion ?? ""} placeholder=${inspection.options.phoneRegion ?? ""}
          onChange=${(/** @type {any} */ event) => set("phoneRegion", event.target.value.trim().toUpperCase())} />`}<//>
      ${/\.xlsx$/i.test(file?.name ?? "") && html`<${Field} label=${T.columns.sheet} hint=${T.columns.sheetHint}>${(/** @type {any} */ about) => html`
        <input ...${about} value=${choices.sheet ?? ""} onChange=${(/** @type {any} */ event) => set("sheet", event.target.value.trim())} />`}<//>`}
    </div></details>
    <footer class="next"><${Button} onClick=${() => change({ step: 0 })}>${T.back}<//>
      ${may("manager") && html`<${Button} disabled=${!isReady} onClick=${() => setSaving(true)}>${T.columns.savePreset}<//>`}
      <${Button} kind="primary" disabled=${!isReady} onClick=${() => change({ step: 2 })}>${T.columns.goOn}<//></footer>
    ${isSaving && html`<${SavePreset} onClose=${() => setSaving(false)} />`}`;
}

/** What the API has recognised, as choices; what it doesn't know is left out. @param {any} found */
const suggested = (found) => Object.fromEntries(found.columns
  .filter((/** @type {any} */ each) => each.header && each.why !== "error file")
  .map((/** @type {any} */ each) => [each.header, each.why === "new attribute" ? NEW : each.field]));

/** @param {any} props */
function Column({ column, own, chosen, faults, onChoose, onRegion }) {
  const title = T.columns.of(column.header || T.columns.noName(column.number));
  const isAdded = column.why === "error file";
  const labels = own.map((/** @type {any} */ each) => each.label ?? each.name);
  const value = chosen === undefined ? column.field : chosen;
  const isOther = value && value !== NEW && !FIELDS.includes(value) && !labels.includes(value);
  return html`
    <div class="column ${value ? "" : "out"}">
      <div class="header"><bdi>${column.header || T.columns.noName(column.number)}</bdi>
        ${column.maybe && !value && html`<button type="button" class="link" onClick=${() => onChoose(column.header, column.maybe)}>${T.columns.maybe(column.maybe)}</button>`}</div>
      <div class="samples">${column.samples.length ? column.samples.slice(0, 3).map((/** @type {string} */ each, /** @type {number} */ at) => html`<span key=${at}><${Value}>${each}<//></span>`) : html`<span class="quiet">${T.columns.empty}</span>`}</div>
      <div class="target">
        <select aria-label=${title} disabled=${isAdded || !column.header} value=${value ?? ""} onChange=${(/** @type {any} */ event) => onChoose(column.header, event.target.value || null)}>
          <option value="">${isAdded ? T.columns.added : T.columns.leaveOut}</option>
          <optgroup label=${T.columns.fields}>${FIELDS.map((name) => html`<option key=${name} value=${name}>${T.fieldNames[name] ?? name}</option>`)}</optgroup>
          ${labels.length > 0 && html`<optgroup label=${T.columns.attributes}>${labels.map((/** @type {string} */ name) => html`<option key=${name} value=${name}>${name}</option>`)}</optgroup>`}
          ${isOther && html`<option value=${value}>${value}</option>`}
          ${may("admin") && html`<option value=${NEW}>${T.columns.newAttribute}</option>`}
        </select>
        ${faults.map((/** @type {any} */ each) => html`<p class="fault" key=${each.code}><b>${T.columns.faulty(each.count)}</b> ${each.reason}
          <small>${each.value && html`<q><${Value}>${each.value}<//></q> · `}${T.columns.onLines(each.lines.slice(0, 3))}</small>
          ${each.code === "MOBILE_INVALID" && onRegion && html`<button type="button" class="link" onClick=${onRegion}>${T.columns.askRegion}</button>`}</p>`)}
      </div>
    </div>`;
}

/** @param {any} props */
export const Choice = ({ name, choices, set, all, label, found, hint }) => html`
  <${Field} label=${label} hint=${hint}>${(/** @type {any} */ about) => html`
    <select ...${about} value=${choices[name] ?? ""} onChange=${(/** @type {any} */ event) => set(name, event.target.value)}>
      ${Object.entries(all).map(([value, title]) => html`<option key=${value} value=${value}>${value === "" && found ? `${title} (${all[found] ?? found})` : title}</option>`)}
    </select>`}<//>`;

/** @param {{onClose: () => void}} props */
function SavePreset({ onClose }) {
  const [name, setName] = useState(draft.value.preset);
  async function save() {
    const { importType, preset, maxRejected, maxDeletePercent, maxRejectedPercent, ...kept } = /** @type {any} */ (options());
    const given = Object.fromEntries(Object.entries(kept).filter(([, value]) => value));
    await put(`audience/presets/${encodeURIComponent(name.trim())}`, { options: given });
    change({ preset: name.trim() });
    announce(T.columns.presetSaved(name));
    onClose();
  }
  return html`
    <${Confirm} title=${T.columns.savePreset} action=${T.save} onDo=${save} onClose=${onClose} isReady=${Boolean(name.trim())}>
      <p>${T.columns.presetAbout}</p>
      <${Field} label=${T.columns.presetName}>${(/** @type {any} */ about) => html`
        <input ...${about} required maxlength="100" value=${name} onInput=${(/** @type {any} */ event) => setName(event.target.value)} />`}<//>
    <//>`;
}
