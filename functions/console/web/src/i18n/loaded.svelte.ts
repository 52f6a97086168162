/** The catalogues that are loaded. */

import type { Catalog } from './en';
import type { Language } from './language.svelte';

export const loaded: Partial<Record<Language, Catalog>> = $state.raw({});
