// Dates, numbers and sizes as the browser's language writes them.
const numbers = new Intl.NumberFormat();
const percents = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const dateTimes = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeZone: "UTC" });
const clocks = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const CONTRACT = /^(\d\d)\/(\d\d)\/(\d{4}) (\d\d):(\d\d):(\d\d) ([AP])M GMT$/;

/** @param {number | null | undefined} value */
export const number = (value) => (value == null ? "–" : numbers.format(value));
/** @param {number} part @param {number} whole */
export const percent = (part, whole) => percents.format(whole ? part / whole : 0);
/** @param {number} value */
export const short = (value) => compact.format(value);

/** The instant that the API writes as `06/28/2016 05:49:23 AM GMT`. @param {string | null | undefined} text */
export function instant(text) {
  const found = CONTRACT.exec(String(text ?? ""));
  if (!found) return null;
  const [, month, day, year, hour, minute, second, half] = found;
  const hours = (Number(hour) % 12) + (half === "P" ? 12 : 0);
  return new Date(Date.UTC(Number(year), Number(month) - 1, Number(day), hours, Number(minute), Number(second)));
}

/** @param {Date | null} at */
export const dateTime = (at) => (at ? dateTimes.format(at) : "–");
/** @param {Date | null} at */
export const day = (at) => (at ? days.format(at) : "–");
/** @param {Date | null} at */
export const clock = (at) => (at ? clocks.format(at) : "–");

/** "3 minutes ago" within a day, else the date. @param {Date | null} at */
export function ago(at) {
  if (!at) return "–";
  const seconds = Math.round((at.getTime() - Date.now()) / 1000);
  if (Math.abs(seconds) < 60) return relative.format(0, "minute") === "this minute" ? "just now" : relative.format(seconds, "second");
  if (Math.abs(seconds) < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (Math.abs(seconds) < 86400) return relative.format(Math.round(seconds / 3600), "hour");
  return dateTimes.format(at);
}

/** "2 min 5 s". @param {number} seconds */
export function duration(seconds) {
  if (seconds < 1) return "less than a second";
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours) return `${numbers.format(hours)} h ${minutes} min`;
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

/** @param {number} value */
export function bytes(value) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  let power = 0;
  while (value >= 1000 && power < units.length - 1) {
    value /= 1000;
    power += 1;
  }
  return new Intl.NumberFormat(undefined, {
    style: "unit", unit: units[power], unitDisplay: power ? "short" : "long", maximumFractionDigits: power > 1 ? 1 : 0,
  }).format(value);
}
