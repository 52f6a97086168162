/** Numbers, shares, times and durations in the reader's language. */

import { language } from '../i18n/language.svelte';

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat | Intl.DisplayNames>();

function memo<T extends Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat | Intl.DisplayNames>(
  key: string,
  make: (tag: string) => T,
): T {
  const tag = language.tag;
  const full = `${tag} ${key}`;
  const known = (cache.get(full) as T | undefined) ?? make(tag);
  cache.set(full, known);
  return known;
}

export function number(value: number, digits = 0): string {
  return memo(`n${digits}`, (tag) => new Intl.NumberFormat(tag, { maximumFractionDigits: digits })).format(value);
}

/** A short number for axes: `1.2K`. */
export function compact(value: number): string {
  return memo('compact', (tag) => new Intl.NumberFormat(tag, { notation: 'compact', maximumFractionDigits: 1 })).format(
    value,
  );
}

/** A share such as `12.5 %`. What is not nothing is never shown as 0, what is not everything never as 100. */
export function share(part: number, whole: number): string {
  if (whole <= 0) return '–';
  const exact = part / whole;
  const shown = part > 0 && exact < 0.001 ? 0.001 : part < whole && exact > 0.999 ? 0.999 : exact;
  const digits = shown === 0 || shown === 1 ? 0 : 1;
  const style: Intl.NumberFormatOptions = { style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits };
  const format = memo(`share${digits}`, (tag) => new Intl.NumberFormat(tag, style));
  return (part > 0 && exact < 0.001 ? '< ' : '') + (part < whole && exact > 0.999 ? '> ' : '') + format.format(shown);
}

/** A round share, such as `20 %`. */
export function percent(value: number): string {
  return memo('percent', (tag) => new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 1 })).format(value);
}

export function bytes(size: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;
  const power = Math.min(3, size < 1 ? 0 : Math.floor(Math.log10(size) / 3));
  const unit = units[power] ?? 'byte';
  const format = memo(`b${unit}`, (tag) => {
    return new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: power > 0 ? 1 : 0 });
  });
  return format.format(size / 1000 ** power);
}

type Moment = string | number | Date;

/** Day and time, with seconds where they matter. */
export function dateTime(at: Moment, seconds = false): string {
  const options: Intl.DateTimeFormatOptions = {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds ? { second: '2-digit' } : {}),
  };
  return memo(`dt${seconds}`, (tag) => new Intl.DateTimeFormat(tag, options)).format(new Date(at));
}

export function time(at: Moment, seconds = false): string {
  const options: Intl.DateTimeFormatOptions = {
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds ? { second: '2-digit' } : {}),
  };
  return memo(`t${seconds}`, (tag) => new Intl.DateTimeFormat(tag, options)).format(new Date(at));
}

/** A day of the week, 0 for Monday. */
export function weekday(index: number, style: 'long' | 'short' = 'long'): string {
  // 1 January 2024 was a Monday.
  const day = Date.UTC(2024, 0, 1 + index);
  return memo(`day-${style}`, (tag) => new Intl.DateTimeFormat(tag, { weekday: style, timeZone: 'UTC' })).format(day);
}

/** `14:02` today, `3 Nov, 14:02` this year, with the year before. */
export function when(at: Moment, now = Date.now()): string {
  const date = new Date(at);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return time(date);
  if (date.getFullYear() !== today.getFullYear()) return dateTime(date);
  const options: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' };
  return memo('when', (tag) => new Intl.DateTimeFormat(tag, options)).format(date);
}

/** The zone that times are written in, such as `GMT-3`. */
export function zone(at: Moment = Date.now()): string {
  const format = memo('zone', (tag) => new Intl.DateTimeFormat(tag, { timeZoneName: 'short', hour: 'numeric' }));
  return format.formatToParts(new Date(at)).find((part) => part.type === 'timeZoneName')?.value ?? 'UTC';
}

/** `2 h 5 min`, `40 s`: the two largest units; seconds only below ten minutes. */
export function duration(seconds: number): string {
  const exact = Math.max(0, Math.round(seconds));
  const whole = exact < 600 ? exact : Math.round(exact / 60) * 60;
  const parts: [number, Intl.NumberFormatOptions['unit']][] = [
    [Math.floor(whole / 86_400), 'day'],
    [Math.floor((whole % 86_400) / 3600), 'hour'],
    [Math.floor((whole % 3600) / 60), 'minute'],
    [whole % 60, 'second'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return unit(0, 'second');
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, name]) => unit(value, name))
    .join(' ');
}

function unit(value: number, name: Intl.NumberFormatOptions['unit']): string {
  const style: Intl.NumberFormatOptions = { style: 'unit', unit: name, unitDisplay: 'short' };
  return memo(`u${name}`, (tag) => new Intl.NumberFormat(tag, style)).format(value);
}

/** `3 minutes ago`, `in 2 hours`. */
export function ago(at: Moment, now = Date.now()): string {
  const seconds = Math.round((new Date(at).getTime() - now) / 1000);
  const size = Math.abs(seconds);
  const format = memo('ago', (tag) => new Intl.RelativeTimeFormat(tag, { numeric: 'auto' }));
  if (size < 60) return format.format(seconds, 'second');
  if (size < 3600) return format.format(Math.round(seconds / 60), 'minute');
  if (size < 86_400) return format.format(Math.round(seconds / 3600), 'hour');
  return format.format(Math.round(seconds / 86_400), 'day');
}

/** The name of a country by its ISO code. */
export function country(code: string): string | undefined {
  if (!/^[A-Z]{2}$/.test(code)) return undefined;
  return memo('country', (tag) => new Intl.DisplayNames([tag], { type: 'region' })).of(code);
}

/** The name of a language by the code of a template: `pt_BR`. */
export function languageName(code: string): string {
  try {
    const names = memo('language', (tag) => new Intl.DisplayNames([tag], { type: 'language', languageDisplay: 'standard' }));
    return names.of(code.replace('_', '-')) ?? code;
  } catch {
    return code;
  }
}

/** A phone number in groups, so that it can be read and compared: `+55 11 98765 4321`. */
export function phone(value: string): string {
  const match = /^\+(\d{6,15})$/.exec(value);
  if (!match?.[1]) return value;
  const digits = match[1];
  const code = countryCodeLength(digits);
  const rest = digits.slice(code);
  const sizes = PHONE_GROUPS[rest.length] ?? [3, 3, 3, 3];
  let at = 0;
  const groups = sizes.map((size) => rest.slice(at, (at += size)));
  return `+${digits.slice(0, code)} ${[...groups, rest.slice(at)].filter(Boolean).join(' ')}`;
}

/** The usual groups of national numbers, by their length: Brazil's and China's mobiles have eleven digits, Spain's nine. */
const PHONE_GROUPS: Record<number, number[]> = { 7: [3, 4], 8: [4, 4], 9: [3, 3, 3], 10: [3, 3, 4], 11: [2, 5, 4], 12: [4, 4, 4] };

/** How many digits the country code has (ITU E.164: 1 and 7 have one, the listed ones two, the others three). */
function countryCodeLength(digits: string): number {
  if (digits[0] === '1' || digits[0] === '7') return 1;
  const two = '20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98';
  return two.split(' ').includes(digits.slice(0, 2)) ? 2 : 3;
}
