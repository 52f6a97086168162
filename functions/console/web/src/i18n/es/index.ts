/** Every text in Spanish. */

import type { Count } from '../count';
import type { Catalog } from '../en';
import { account } from './account';
import { campaign } from './campaign';
import { campaigns } from './campaigns';
import { common } from './common';
import { draft } from './draft';
import { inbox } from './inbox';
import { people } from './people';
import { settings } from './settings';
import { signin } from './signin';
import { states } from './states';

export const catalog = (count: Count): Catalog => ({
  account: account(count),
  campaign: campaign(count),
  campaigns: campaigns(count),
  common: common(),
  draft: draft(count),
  inbox: inbox(count),
  people: people(count),
  settings: settings(count),
  signin: signin(),
  states: states(),
});
