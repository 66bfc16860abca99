// For operators: whether all is well, and what to do where it is not.
import { html } from "./libraries.js";
import { get, may } from "./api.js";
import { ago, instant, number } from "./format.js";
import { Empty, Fault, Heading, Icon, Skeleton, Table, Tabs, Value, link, useEvery, useLoad, useTitle } from "./ui.js";
import { Accounts, Attributes, Presets, Tokens } from "./access.js";
import { Audit } from "./audit.js";
import { DeadLetters } from "./dead_letters.js";
import { Projections } from "./projections.js";
import { ThroughputCharts } from "./throughput.js";
import { Webhooks } from "./webhooks.js";
import { T } from "./text.js";

/** @type {Record<string, [any, string]>} */
const TABS = {
  health: [Health, "reader"],
  letters: [DeadLetters, "admin"],
  sources: [Sources, "reader"],
  tables: [Projections, "admin"],
  attributes: [Attributes, "reader"],
  presets: [Presets, "reader"],
  accounts: [Accounts, "admin"],
  tokens: [Tokens, "admin"],
  webhooks: [Webhooks, "importer"],
  audit: [Audit, "admin"],
};

/** `id`: of what is looked at in the tab. @param {{tab: string, id?: string}} props */
export function Operations({ tab, id }) {
  useTitle(T.operations.title);
  const offered = Object.keys(TABS).filter((each) => may(TABS[each][1]));
  const chosen = offered.includes(tab) ? tab : "health";
  const [View] = TABS[chosen];
  return html`
    <${Heading} title=${T.operations.title} />
    <${Tabs} path="operations" chosen=${chosen} tabs=${offered.map((each) => [each, T.operations.tabs[each]])} />
    <${View} id=${id} />`;
}

/** @param {AbortSignal} signal */
async function askHealth(signal) {
  const response = await fetch(new URL("health/ready", document.baseURI), { signal });
  return response.json();
}

function Health() {
  const { data, error, reload } = useLoad(askHealth, []);
  const jobs = useLoad((signal) => get("batchinfo/status", { state: ["ACCEPTED", "PROCESSING"], pageSize: 1 }, signal), []);
  const users = useLoad((signal) => get("audience", { pageSize: 1 }, signal), []);
  const letters = useLoad((signal) => (may("admin") ? get("admin/dead-letters", { pageSize: 1 }, signal) : Promise.resolve(null)), []);
  useEvery(5000, reload);
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} rows=${5} />`;
  const isWell = data.status === "ready";
  return html`
    <section class="card health ${isWell ? "good" : "bad"}" role="status"><${Icon} name=${isWell ? "check" : "warning"} />
      <div><h2>${isWell ? T.health.well : T.health.waits}</h2><p>${isWell ? T.health.wellAbout : data.reasons.join(" ")}</p></div></section>
    <div class="tiles">
      <a class="tile" href=${link("users")}><b>${number(users.data?.total)}</b><span>${T.users.title}</span></a>
      <a class="tile" href=${link("jobs")}><b>${number(jobs.data?.total)}</b><span>${T.health.running}</span></a>
      ${letters.data && html`<a class="tile" href=${link("operations/letters")}><b>${number(letters.data.all)}</b><span>${T.health.letters}</span></a>`}
    </div>
    <ul class="components">${data.components.map((/** @type {any} */ each) => html`
      <li key=${each.name} class=${each.status === "ready" ? "good" : "bad"}><${Icon} name=${each.status === "ready" ? "check" : "warning"} />
        <div><b>${T.health.components[each.name] ?? each.name}</b><p class="quiet">${each.reasons.join(" ") || T.health.ready}</p></div></li>`)}
    </ul>
    <${ThroughputCharts} />
    <p class="quiet">${T.health.more} <a href="metrics">/metrics</a> · <a href="docs">${T.health.docs}</a></p>`;
}

function Sources() {
  const { data, error, reload } = useLoad((signal) => get("batchinfo/sources", { pageSize: 100 }, signal), []);
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} />`;
  if (!data.total) return html`<${Empty} icon="operations" title=${T.sources.empty}>${T.sources.emptyAbout}<//>`;
  const count = (/** @type {string} */ name, /** @type {string} */ title) => ({ title, kind: "num", cell: (/** @type {any} */ row) => html`<span class=${row[name] ? "" : "zero"}>${number(row[name])}</span>` });
  return html`<p class="quiet">${T.sources.about}</p><${Table} caption=${T.operations.tabs.sources} rows=${data.sources} columns=${[
    { title: T.sources.source, kind: "main", cell: (/** @type {any} */ row) => html`<${Value}>${row.source === "rollcall-api" ? T.user.byApi : row.source ?? T.sources.unnamed}<//>` },
    count("inserted", T.outcomes.inserted), count("updated", T.outcomes.updated), count("unchanged", T.outcomes.unchanged),
    count("deleted", T.outcomes.deleted), count("rejected", T.outcomes.rejected), count("dead", T.sources.dead), count("repeats", T.sources.repeats),
    { title: T.sources.last, cell: (/** @type {any} */ row) => ago(instant(row.lastEvent)) },
  ]} />`;
}
