// The point in time that the page looks at: now, the end of a day, or after a job.
import { html, signal, useState } from "./libraries.js";
import { day } from "./format.js";
import { Button, Dialog, Field, Icon, LinkButton, link, place } from "./ui.js";
import { T } from "./text.js";

/** `text` is how addresses of the page name it, `value` what the API takes as `asOf`. @typedef {{text: string, value: string, title: string}} Point */

/** Null is now. */
export const asOf = signal(/** @type {Point | null} */ (null));
const DAY = /^(\d{4})-(\d\d)-(\d\d)$/;
/** @param {string} text */
export const isDay = (text) => DAY.test(text);

/** The end of a day in the browser's own time zone, or a job; null for now. @param {string} text @param {string} [job] how the job is called @returns {Point | null} */
export function pointOf(text, job) {
  const found = DAY.exec(text);
  if (!found) return text ? { text, value: text, title: T.asOf.afterJob(job ?? T.asOf.job(text)) } : null;
  const [year, month, date] = found.slice(1).map(Number);
  const end = new Date(year, month - 1, date + 1);
  return end > new Date() ? null : { text, value: end.toISOString().replace(/\.\d+Z/, "Z"), title: day(new Date(Date.UTC(year, month - 1, date))) };
}

/** Today, or so many days ago, as a date input has it. @param {number} [daysAgo] */
const today = (daysAgo = 0) => new Date(Date.now() - new Date().getTimezoneOffset() * 60_000 - daysAgo * 86_400_000).toISOString().slice(0, 10);

/** Stands over all that is shown as it was. */
export function AsOfBanner() {
  const [first] = place.value.parts;
  if (!asOf.value || first !== "users") return null;
  return html`
    <div class="as-of" role="status"><${Icon} name="clock" /><span>${T.asOf.banner(asOf.value.title)}</span>
      <${LinkButton} href=${link("changes", { from: asOf.value.text })}>${T.changes.since}<//><${Button} onClick=${() => { asOf.value = null; }}>${T.asOf.now}<//></div>`;
}

/** A day to choose, today at the latest. @param {{label: string, hint?: string, value: string, latest?: string, onValue: (text: string) => void, isRequired?: boolean}} props */
export const DayField = ({ label, hint, value, latest = today(), onValue, isRequired }) => html`
  <${Field} label=${label} hint=${hint}>${(/** @type {any} */ about) => html`
    <input ...${about} type="date" max=${latest} required=${isRequired} value=${value} onChange=${(/** @type {any} */ event) => onValue(event.target.value)} />`}<//>`;

export function AsOfButton() {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState(today(1));
  const look = (/** @type {Event} */ event) => {
    event.preventDefault();
    asOf.value = pointOf(text);
    setOpen(false);
  };
  return html`
    <${Button} icon="clock" onClick=${() => setOpen(true)}>${T.asOf.action}<//>
    ${isOpen && html`<${Dialog} title=${T.asOf.title} onClose=${() => setOpen(false)}>
      <form onSubmit=${look}>
        <div class="body"><p>${T.asOf.about}</p>
          <${DayField} label=${T.asOf.day} value=${text} latest=${today(1)} onValue=${setText} isRequired />
          <p><a href=${link("changes")}>${T.changes.compare}</a></p></div>
        <footer><${Button} onClick=${() => setOpen(false)}>${T.cancel}<//><${Button} kind="primary" type="submit">${T.asOf.look}<//></footer>
      </form><//>`}`;
}
