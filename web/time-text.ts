// Moments by the reader's own clock, in words of the language that the page is in.

/** The page is in English: a reader of another language would get days in one and everything else in the other. */
const language = /^en\b/.test(new Intl.DateTimeFormat().resolvedOptions().locale) ? undefined : 'en-GB';

let clock: Intl.DateTimeFormat | undefined;
let weekday: Intl.DateTimeFormat | undefined;
let shortDate: Intl.DateTimeFormat | undefined;
let fullDate: Intl.DateTimeFormat | undefined;
let exact: Intl.DateTimeFormat | undefined;
let relative: Intl.RelativeTimeFormat | undefined;

/** 14:03 */
export function clockTime(at: number): string {
  clock ??= new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
  return clock.format(at);
}

/** Day and time in full, for a title. */
export function exactTime(at: number): string {
  exact ??= new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'medium' });
  return exact.format(at);
}

/** Today, Yesterday, Monday 5 May 2025: what separates the days of a conversation. */
export function dayName(at: number, now: number): string {
  const daysAgo = Math.round((startOfDay(now) - startOfDay(at)) / 86_400_000);
  if (daysAgo === 0 || daysAgo === 1) {
    relative ??= new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
    const name = relative.format(-daysAgo, 'day');
    return name.charAt(0).toLocaleUpperCase() + name.slice(1);
  }
  fullDate ??= new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
  return fullDate.format(at);
}

/** As short as can be: the time today, the day's name within a week, else the date. */
export function shortTime(at: number, now: number): string {
  const daysAgo = Math.round((startOfDay(now) - startOfDay(at)) / 86_400_000);
  if (daysAgo <= 0) return clockTime(at);
  weekday ??= new Intl.DateTimeFormat(language, { weekday: 'short' });
  if (daysAgo < 7) return weekday.format(at);
  shortDate ??= new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short' });
  return shortDate.format(at);
}

/** A date without its time, for keys. */
export function dateText(at: number): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium' }).format(at);
}

/** Local midnight; also tells whether two moments fall on one day. */
export function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}
