/**
 * The catalogues. A key that a language lacks is an error of the type checker: each has the type of the English one. English
 * comes with the first load, another language as one file beside it.
 */

import { catalog as english, type Catalog } from './en';
import { counted, language, type Language } from './language.svelte';
import { loaded } from './loaded.svelte';

const LOADERS: Record<Exclude<Language, 'en'>, () => Promise<Catalog>> = {
  es: async () => (await import('./es')).catalog(counted('es')),
  pt: async () => (await import('./pt')).catalog(counted('pt')),
};

loaded.en = english(counted('en'));

/** Loads a language's texts, and then shows them. The former language stays if there is no connection. */
export async function useLanguage(next: Language): Promise<void> {
  if (next !== 'en') loaded[next] ??= await LOADERS[next]();
  language.current = next;
}

/** Every text in the language of the page: `text.common.save`. Reactive in components. */
export const text: Catalog = Object.defineProperties(
  {},
  Object.fromEntries(
    (Object.keys(loaded.en ?? {}) as (keyof Catalog)[]).map((area) => [
      area,
      { enumerable: true, get: () => (loaded[language.current] ?? loaded.en)?.[area] },
    ]),
  ),
) as Catalog;
