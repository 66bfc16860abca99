import { html, useCallback } from "./libraries.js";
import { get, may } from "./api.js";
import { ago, dateTime, instant, number } from "./format.js";
import { Button, Empty, Fault, Heading, LinkButton, Pager, Skeleton, Table, go, link, place, useAddressText, useEvery, useLoad, useTitle } from "./ui.js";
import { State, hasEnded } from "./job_parts.js";
import { T } from "./text.js";

const PAGE = 25;
const SEARCHED = 1000;
const STATES = ["ACCEPTED", "PROCESSING", "COMPLETED", "COMPLETED_WITH_ERRORS", "REVERTING", "REVERTED", "CANCELLING", "CANCELLED", "FAILED"];

/** @param {string} name @param {string} title */
const counted = (name, title) => ({ title, kind: "num", cell: (/** @type {any} */ row) => html`<span class=${!row[name] ? "zero" : name === "rejected" ? "fault" : ""}>${number(row[name])}</span>` });

export function Jobs() {
  const { state = "", mode = "", by = "", start: from = "0" } = place.value.query;
  const [text, setText, search] = useAddressText("search");
  const settled = search.toLowerCase();
  const start = Number(from);
  useTitle(T.jobs.title);
  const { data, error, reload } = useLoad(async (signal) => {
    const filters = { state: state ? [state] : [], mode: mode ? [mode] : [], importedBy: by ? [by] : [] };
    if (!settled) return get("batchinfo/status", { ...filters, start, pageSize: PAGE }, signal);
    const all = await get("batchinfo/status", { ...filters, pageSize: SEARCHED }, signal);
    const statuses = all.statuses.filter((/** @type {any} */ each) => `${each.fileName} ${each.importedBy} ${each.id}`.toLowerCase().includes(settled));
    return { statuses, total: statuses.length, isSearch: true };
  }, [state, mode, by, start, settled]);
  useEvery(3000, reload, Boolean(data?.statuses.some((/** @type {any} */ each) => !hasEnded(each))));
  const filter = useCallback((/** @type {any} */ changes) => go("jobs", { state, mode, by, search, ...changes }), [state, mode, by, search]);
  const isFiltered = state || mode || by || settled;
  const showAll = () => { setText(""); go("jobs"); };
  return html`
    <${Heading} title=${T.jobs.title} about=${T.jobs.about}>${may("importer") && html`<${LinkButton} kind="primary" icon="import" href=${link("import")}>${T.import.title}<//>`}<//>
    <form class="filters" role="search" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <input type="search" aria-label=${T.jobs.search} placeholder=${T.jobs.search} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
      <select aria-label=${T.jobs.state} value=${state} onChange=${(/** @type {any} */ event) => filter({ state: event.target.value })}>
        <option value="">${T.jobs.anyState}</option>${STATES.map((each) => html`<option key=${each} value=${each}>${T.states[each]}</option>`)}</select>
      <select aria-label=${T.jobs.mode} value=${mode} onChange=${(/** @type {any} */ event) => filter({ mode: event.target.value })}>
        <option value="">${T.jobs.anyMode}</option>${Object.entries(T.modes).map(([each, [name]]) => html`<option key=${each} value=${each}>${name}</option>`)}</select>
      ${by && html`<button type="button" class="chip" onClick=${() => filter({ by: "" })}>${T.jobs.by(by)} ×</button>`}
    </form>
    <${Fault} error=${error} again=${reload} />
    ${!data ? !error && html`<${Skeleton} rows=${8} />`
      : data.statuses.length === 0 ? html`<${Empty} icon="jobs" title=${isFiltered ? T.jobs.none : T.jobs.empty}>${isFiltered ? html`${T.jobs.noneAbout}<p><${Button} onClick=${showAll}>${T.showAll}<//></p>` : T.jobs.emptyAbout}<//>`
      : html`<${Table} caption=${T.jobs.title} rows=${data.statuses} keyOf=${(/** @type {any} */ row) => row.id} onRow=${(/** @type {any} */ row) => go(`jobs/${row.id}`)} columns=${[
        { title: T.jobs.file, kind: "main", cell: (/** @type {any} */ row) => html`<a href=${link(`jobs/${row.id}`)}><bdi class="value" title=${row.fileName}>${row.fileName ?? T.noName}</bdi></a><small>${T.modes[row.mode][0]}</small>` },
        { title: T.jobs.state, cell: (/** @type {any} */ row) => html`<${State} state=${row.state} />` },
        { title: T.jobs.lines, kind: "num", cell: (/** @type {any} */ row) => number(row.total) },
        counted("inserted", T.outcomes.inserted),
        counted("updated", T.outcomes.updated),
        counted("rejected", T.outcomes.rejected),
        counted("deleted", T.outcomes.deleted),
        { title: T.jobs.who, kind: "when", cell: (/** @type {any} */ row) => html`<button type="button" class="link" onClick=${() => filter({ by: row.importedBy })}><bdi class="value">${row.importedBy}</bdi></button><small title=${dateTime(instant(row.importedDate))}>${ago(instant(row.importedDate))}</small>` },
      ]} />
      ${!data.isSearch && html`<${Pager} start=${start} size=${PAGE} total=${data.total} onStart=${(/** @type {number} */ next) => filter({ start: next })} />`}`}`;
}
