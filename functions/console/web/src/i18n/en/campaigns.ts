/** The list of campaigns, in English. */

import type { Count } from '../count';

export const campaigns = (count: Count) => ({
  title: 'Campaigns',
  search: 'Search by name',
  state: 'State',
  all: 'All',
  filters: { open: 'In progress', waiting: 'Needs you', over: 'Over' },
  tests: 'Show test sends',
  name: 'Name',
  progress: 'Progress',
  rows: 'Rows',
  read: 'Read',
  created: 'Created',
  by: (name: string) => `by ${name}`,
  rowsOf: (n: number) => count(n, 'row', 'rows'),
  settled: (share: string) => `${share} done`,
  empty: 'No campaign yet',
  emptyHelp: 'A campaign sends one template to everybody in a table. You see every message before it is sent.',
  noMatch: 'No campaign matches',
  noMatchHelp: 'Try a shorter name, or show all states.',
  clear: 'Show all campaigns',
  shown: (n: number) => count(n, 'campaign', 'campaigns'),
});

export type CampaignsText = ReturnType<typeof campaigns>;
