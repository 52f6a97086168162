import { afterEach, describe, expect, it } from 'vitest';
import { chooseLanguage, counted, language } from '../i18n/language.svelte';
import { bytes, country, duration, languageName, number, percent, phone, share } from './format';
import { niceCeiling, stepTicks, timeTicks } from './chart';
import { cleanPhone, isMasked } from './phone';
import { checkSending, DAYS, hoursOf, localInput, type SendingForm } from './sending';
import { href, parseRoute } from './router.svelte';
import { backoff } from './resource.svelte';

afterEach(() => {
  language.current = 'en';
});

describe('numbers', () => {
  it('never say nothing where there is something, nor everything where something is missing', () => {
    expect(share(0, 10)).toBe('0%');
    expect(share(1, 1_000_000)).toBe('< 0.1%');
    expect(share(999_999, 1_000_000)).toBe('> 99.9%');
    expect(share(10, 10)).toBe('100%');
    expect(share(1, 0)).toBe('–');
    expect(percent(0.2)).toBe('20%');
  });

  it('are written as the reader writes them', () => {
    expect(number(1234567.5, 1)).toBe('1,234,567.5');
    language.current = 'es';
    expect(number(1234567)).toBe('1.234.567');
    expect(counted('es')(1_000_000, 'mensaje', 'mensajes')).toBe('1.000.000 de mensajes');
    expect(counted('es')(1, 'mensaje', 'mensajes')).toBe('1 mensaje');
    language.current = 'pt';
    expect(counted('pt')(0, 'mensagem', 'mensagens')).toBe('0 mensagem');
  });

  it('have units', () => {
    expect(bytes(48_213)).toBe('48.2 kB');
    expect(bytes(0)).toBe('0 byte');
    expect(duration(0)).toBe('0 sec');
    expect(duration(61)).toBe('1 min 1 sec');
    expect(duration(1897)).toBe('32 min');
    expect(duration(7260)).toBe('2 hr 1 min');
    expect(duration(90_000)).toBe('1 day 1 hr');
  });
});

it('names of countries and languages need no table of ours', () => {
  expect(country('BR')).toBe('Brazil');
  expect(country('??')).toBeUndefined();
  expect(languageName('pt_BR')).toBe('Portuguese (Brazil)');
  expect(languageName('???')).toBe('???');
});

describe('phone numbers', () => {
  it('are grouped and stay masked', () => {
    expect(phone('+5511987654321')).toBe('+55 11 98765 4321');
    expect(phone('+34612345678')).toBe('+34 612 345 678');
    expect(phone('+12025550120')).toBe('+1 202 555 0120');
    expect(phone('+•••••••••4321')).toBe('+•••••••••4321');
    expect(isMasked('+•••••••••4321')).toBe(true);
  });

  it('are taken in any spelling with a country code', () => {
    expect(cleanPhone(' +55 (11) 98765-4321 ')).toBe('+5511987654321');
    expect(cleanPhone('0034 612 345 678')).toBe('+34612345678');
    for (const wrong of ['612345678', '+12', 'Ana', '']) expect(cleanPhone(wrong)).toBeUndefined();
  });
});

describe('when a campaign sends', () => {
  const now = Date.parse('2026-12-01T08:00:00Z');
  const form: SendingForm = { at: 'now', notBefore: '', hasEnd: false, notAfter: '', ...hoursOf(null), hasCanary: false, canary: '', afterCanary: 'wait', hasStopLoss: true, stopLoss: '12,5' };

  it('is what the API takes', () => {
    expect(checkSending(form, now)).toEqual({ body: { not_before: null, not_after: null, window: null, canary: null, after_canary: null, max_failure_ratio: 0.125 } });
    const full = { ...form, at: 'time' as const, notBefore: localInput('2026-12-02T09:30:00Z'), hasCanary: true, canary: '1,000', hasStopLoss: false };
    expect(checkSending(full, now)).toEqual({
      body: { not_before: '2026-12-02T09:30:00.000Z', not_after: null, window: null, canary: 1000, after_canary: 'wait', max_failure_ratio: 1 },
    });
  });

  it('has hours as they were written', () => {
    for (const window of [
      { from: '09:00', to: '24:00', zone: 'recipient', days: [...DAYS] },
      { from: '00:00', to: '24:00', zone: 'UTC', days: ['friday' as const] },
      { from: '22:00', to: '06:30', zone: 'Asia/Kolkata', days: ['sunday' as const] },
    ]) {
      expect(checkSending({ ...form, ...hoursOf(window) }, now)).toMatchObject({ body: { window } });
    }
    const at = { ...form, ...hoursOf(null), hasHours: true };
    expect(checkSending({ ...at, to: '09:00' }, now)).toEqual({ wrong: ['hours-to'] });
    expect(checkSending({ ...at, from: '', to: '' }, now)).toEqual({ wrong: ['hours-from', 'hours-to'] });
    expect(checkSending({ ...at, days: [] }, now)).toEqual({ wrong: ['hours-days'] });
  });

  it('names every field that is wrong', () => {
    const wrong = { ...form, at: 'time' as const, notBefore: '', hasEnd: true, notAfter: localInput('2026-11-01T00:00:00Z'), hasCanary: true, canary: '0', stopLoss: '' };
    expect(checkSending(wrong, now)).toEqual({ wrong: ['not-before', 'not-after', 'canary', 'stop-loss'] });
    const reversed = { ...form, at: 'time' as const, notBefore: localInput('2026-12-03T00:00:00Z'), hasEnd: true, notAfter: localInput('2026-12-02T00:00:00Z') };
    expect(checkSending(reversed, now)).toEqual({ wrong: ['not-after'] });
  });
});

it('charts have round axes', () => {
  expect([0, 0.7, 41, 44.8, 130, 2600].map(niceCeiling)).toEqual([1, 0.8, 50, 50, 200, 4000]);
  expect(stepTicks(50)).toEqual([0, 10, 20, 30, 40, 50]);
  const from = Date.parse('2026-12-01T08:00:30Z');
  expect(timeTicks(from, from + 300_000, 6).map((at) => at % 60_000)).toEqual([0, 0, 0, 0, 0]);
});

it('addresses survive any value and lead nowhere else', () => {
  const strange = ['people', '+55/11?x#y', 'javascript:alert(1)'];
  expect(parseRoute(href(strange)).path).toEqual(strange);
  expect(href(['https://evil.example'])).toBe('#/https%3A%2F%2Fevil.example');
  expect(parseRoute('#/a/%E0%A4%A').path).toEqual(['a', '%E0%A4%A']);
  expect(parseRoute('#/campaigns?q=a%20b').query.get('q')).toBe('a b');
});

it('the reader’s language is the first that we have', () => {
  expect(chooseLanguage(null, ['de-DE', 'pt-BR', 'en'])).toBe('pt');
  expect(chooseLanguage('es', ['en'])).toBe('es');
  expect(chooseLanguage(null, ['ja'])).toBe('en');
});

it('failures are answered with longer pauses, up to half a minute', () => {
  expect([1, 2, 3, 9].map(backoff)).toEqual([1000, 2000, 4000, 30_000]);
});
