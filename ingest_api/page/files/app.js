// The frame: who is signed in, where in the page we are, and what is shown there.
import { html, render, useEffect, useRef } from "./libraries.js";
import { may, session, signOut, whoIsIt } from "./api.js";
import { Fault, Icon, Skeleton, announcement, link, place } from "./ui.js";
import { AsOfBanner } from "./as_of.js";
import { Changes } from "./changes.js";
import { Import } from "./import.js";
import { Job } from "./job.js";
import { Jobs } from "./jobs.js";
import { Operations } from "./operations.js";
import { SignIn } from "./sign_in.js";
import { User } from "./user.js";
import { Users } from "./users.js";
import { T } from "./text.js";

/** @type {[string, any, string, string][]} */
const PLACES = [
  ["import", "import", T.import.title, "importer"],
  ["jobs", "jobs", T.jobs.title, "reader"],
  ["users", "users", T.users.title, "reader"],
  ["operations", "operations", T.operations.title, "reader"],
];

function View() {
  const [first, second, third] = place.value.parts;
  if (first === "jobs" && second) return html`<${Job} key=${second} id=${second} />`;
  if (first === "jobs") return html`<${Jobs} />`;
  if (first === "users" && second) return html`<${User} key=${second} id=${second} />`;
  if (first === "users") return html`<${Users} />`;
  if (first === "changes") return html`<${Changes} />`;
  if (first === "operations") return html`<${Operations} tab=${second ?? "health"} id=${third} />`;
  return may("importer") ? html`<${Import} id=${first === "import" ? second : undefined} />` : html`<${Jobs} />`;
}

function Frame() {
  const first = place.value.parts[0];
  const here = first === "changes" ? "users" : first ?? (may("importer") ? "import" : "jobs");
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const isFirst = useRef(true);
  const where = place.value.parts.join("/");
  useEffect(() => {
    if (!isFirst.current) main.current?.querySelector("h1")?.focus({ preventScroll: false });
    isFirst.current = false;
    scrollTo(0, 0);
  }, [where]);
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); main.current?.focus(); }}>${T.skip}</a>
    <header class="side"><div>
      <a class="brand" href="#/"><img src="page/icon.svg" alt="" width="24" height="24" /><span>Rollcall</span></a>
      <nav aria-label=${T.places}>${PLACES.filter((each) => may(each[3])).map(([name, icon, title]) => html`
        <a key=${name} href=${link(name)} aria-current=${here === name ? "page" : undefined}><${Icon} name=${icon} /><span>${title}</span></a>`)}
      </nav>
      <div class="who"><span><bdi>${session.value?.name}</bdi><small>${T.roles[session.value?.role ?? ""]}</small></span>
        <button type="button" class="plain" onClick=${signOut} aria-label=${T.signOut} title=${T.signOut}><${Icon} name="out" /></button></div>
    </div></header>
    <main id="main" ref=${main} tabindex="-1"><${AsOfBanner} /><${View} /></main>`;
}

function App() {
  return html`
    ${session.value === undefined ? html`<div class="boot"><${Skeleton} rows=${3} /></div>` : session.value ? html`<${Frame} />` : html`<${SignIn} />`}
    <div class="sr" aria-live="polite">${announcement.value}</div>`;
}

/** "/" goes to the search of the view. @param {KeyboardEvent} event */
function toSearch(event) {
  const isTyping = /** @type {HTMLElement} */ (event.target).matches("input, select, textarea");
  const search = /** @type {HTMLElement | null} */ (document.querySelector("main input[type=search]"));
  if (event.key !== "/" || isTyping || !search) return;
  event.preventDefault();
  search.focus();
}
addEventListener("keydown", toSearch);

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
render(html`<${App} />`, root);
whoIsIt().catch((error) => render(html`<div class="boot"><${Fault} error=${error} again=${() => location.reload()} /></div>`, root));
