/** The language of the page, and how it writes numbers, times and plurals. */

import type { Count } from './count';

export const LANGUAGES = ['en', 'es', 'pt'] as const;
export type Language = (typeof LANGUAGES)[number];

/** Each language by its own name. */
export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', es: 'Español', pt: 'Português' };

const STORAGE_KEY = 'crier-language';

/** The first language that the reader wants and we have. */
export function chooseLanguage(stored: string | null, wanted: readonly string[]): Language {
  const candidates = [stored ?? '', ...wanted].map((tag) => tag.slice(0, 2).toLowerCase());
  return candidates.find((tag): tag is Language => (LANGUAGES as readonly string[]).includes(tag)) ?? 'en';
}

const stored = (): string | null => {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
};

/** The language that the reader chose here, or else the browser's. */
export function wantedLanguage(): Language {
  return chooseLanguage(stored(), navigator.languages ?? [navigator.language]);
}

let current: Language = $state('en');

export const language = {
  get current(): Language {
    return current;
  },
  set current(next: Language) {
    current = next;
    try {
      localStorage.setItem(STORAGE_KEY, next);
    } catch {
      // A browser that stores nothing asks again next time.
    }
  },
  /** The reader's own region, where it speaks the page's language: `pt-BR` writes dates unlike `pt`. */
  get tag(): string {
    const own = typeof navigator === 'undefined' ? [] : (navigator.languages ?? []);
    return own.find((tag) => tag.toLowerCase().startsWith(current)) ?? current;
  },
};

const plurals = new Map<string, Intl.PluralRules>();
const numbers = new Map<string, Intl.NumberFormat>();

function cached<T>(cache: Map<string, T>, key: string, make: () => T): T {
  const known = cache.get(key) ?? make();
  cache.set(key, known);
  return known;
}

/** A number with its noun: `1,024 messages`. In Spanish and Portuguese a round million takes `de`. */
export function counted(of: Language): Count {
  return (n, one, other) => {
    const tag = language.tag.startsWith(of) ? language.tag : of;
    const digits = cached(numbers, tag, () => new Intl.NumberFormat(tag)).format(n);
    const form = cached(plurals, tag, () => new Intl.PluralRules(tag)).select(n);
    if (form === 'one') return `${digits} ${one}`;
    return form === 'many' ? `${digits} de ${other}` : `${digits} ${other}`;
  };
}
