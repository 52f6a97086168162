/** The first rows of files that were chosen in this tab, by campaign. */

import type { TableHead } from './table';

const heads = new Map<string, TableHead>();

export const rememberHead = (campaign: string, head: TableHead | undefined): void => {
  if (head) heads.set(campaign, head);
};
export const recallHead = (campaign: string | undefined): TableHead | undefined => (campaign ? heads.get(campaign) : undefined);
