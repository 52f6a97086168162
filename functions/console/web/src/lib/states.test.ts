import { describe, expect, it } from 'vitest';
import type { CampaignState } from '../api/types';
import { catalog as english } from '../i18n/en';
import { catalog as spanish } from '../i18n/es';
import { catalog as portuguese } from '../i18n/pt';
import { isDraft, pollInterval, STATE_LOOKS } from './states';

const states = Object.keys(STATE_LOOKS) as CampaignState[];
const campaign = (state: CampaignState, attempts = 0, enqueued = 0, started_at: string | null = null) => ({ state, started_at, rows: { enqueued }, sending: { attempts } });

describe('states', () => {
  it('differ in shape, or share a word', () => {
    const words = english((n, one) => `${n} ${one}`).states.campaign;
    for (const one of states) {
      for (const other of states) {
        const isSame = STATE_LOOKS[one].icon === STATE_LOOKS[other].icon;
        expect(isSame).toBe(words[one] === words[other]);
      }
    }
  });

  it('show the form until somebody starts', () => {
    expect(states.filter((state) => isDraft(campaign(state)))).toEqual(['awaiting_upload', 'validating', 'ready', 'failed']);
    // A further file of a campaign that has begun: the page stays the progress.
    expect(isDraft(campaign('validating', 40))).toBe(false);
    expect(isDraft(campaign('validating', 0, 0, '2026-12-01T08:00:00Z'))).toBe(false);
    expect(isDraft(campaign('failed', 0, 12))).toBe(false);
  });

  it('are asked for more often while something moves', () => {
    expect(pollInterval('sending')).toBeLessThanOrEqual(2000);
    expect(pollInterval('finished')).toBeGreaterThan(pollInterval('sending') ?? 0);
    expect(pollInterval(undefined)).toBeUndefined();
  });
});

describe('catalogues', () => {
  const shape = (value: unknown, path = ''): string[] => {
    if (typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([key, inner]) => shape(inner, `${path}/${key}`));
    return [`${path} ${typeof value}`];
  };
  const count = (n: number, one: string, other: string) => `${n} ${n === 1 ? one : other}`;

  it('have the same keys, all with a text', () => {
    const expected = shape(english(count));
    for (const catalog of [spanish(count), portuguese(count)]) expect(shape(catalog).sort()).toEqual([...expected].sort());
    const empty = (value: unknown): boolean => (typeof value === 'object' && value !== null ? Object.values(value).some(empty) : value === '');
    expect([english, spanish, portuguese].some((catalog) => empty(catalog(count)))).toBe(false);
  });

  it('put the count on the button', () => {
    expect(english(count).draft.sendNow(4812)).toBe('Send 4812 messages');
    expect(spanish(count).draft.sendNow(1)).toBe('Enviar 1 mensaje');
    expect(portuguese(count).campaign.retryThese(312)).toBe('Enviar de novo 312 linhas');
  });
});
