/** The WhatsApp account, in English. */

import type { Count } from '../count';

export const account = (count: Count) => ({
  title: 'Account',
  budget: 'Ceiling',
  budgetHelp: (n: number) => count(n, 'message', 'messages') + ' a second, never more',
  limit: 'New people in 24 hours',
  limitNone: 'no limit',
  limitUnknown: 'not known',
  templates: 'Templates',
  asked: (time: string) => `WhatsApp was asked at ${time}`,
  name: 'Name',
  language: 'Language',
  category: 'Category',
  quality: 'Quality',
  status: 'State',
  statuses: { APPROVED: 'Approved', PENDING: 'Being checked by Meta', REJECTED: 'Rejected by Meta', PAUSED: 'Paused by Meta', DISABLED: 'Disabled by Meta' } as Record<string, string>,
  notices: 'Notices from Meta',
  noNotices: 'Meta has sent no notice about your account, number or templates.',
});

export type AccountText = ReturnType<typeof account>;
