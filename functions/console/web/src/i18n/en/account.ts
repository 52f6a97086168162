/** The WhatsApp account, in English. */

import type { Count } from '../count';

export const account = (count: Count) => ({
  title: 'Account',
  budget: 'Ceiling',
  budgetHelp: (n: number) => count(n, 'message', 'messages') + ' a second, never more',
  budgetTogether: (n: number, numbers: number) => count(n, 'message', 'messages') + ` a second with ${numbers} numbers together, never more`,
  limit: 'New people in 24 hours',
  limitNone: 'no limit',
  limitUnknown: 'not known',
  number: 'Number',
  numbers: 'Numbers',
  isDefault: 'default',
  defaultHelp: 'Campaigns that name no number are sent from the default one.',
  perSecond: 'Messages a second',
  rate: (now: string, budget: string) => `${now} of ${budget}`,
  on: 'on',
  sending: 'Sending',
  suspension: {
    paused: {
      operator: (phone: string, time: string) => `${phone} was paused by an operator, ${time}.`,
      crier: (phone: string, time: string) => `${phone} was paused by Crier, ${time}.`,
    },
    cooldown: (phone: string, time: string) => `WhatsApp asked for a pause for ${phone}. Sending goes on at ${time}.`,
    button: { pause: (phone: string) => `Pause ${phone}`, resume: (phone: string) => `Resume ${phone}` },
    ask: { pause: (phone: string) => `Pause ${phone}?`, resume: (phone: string) => `Resume ${phone}?` },
    effect: {
      pause: 'No campaign sends from this number any more. The people who would hear from it wait, and nobody is lost. Other numbers go on.',
      resume: 'The people who wait for this number get their messages, of every campaign that is not paused itself.',
    },
    did: { pause: (phone: string) => `${phone} is paused.`, resume: (phone: string) => `${phone} sends again.` },
  },
  phone: 'Phone number',
  shownName: 'Name that people see',
  throughput: 'Throughput',
  throughputs: { STANDARD: 'Standard: 80 messages a second', HIGH: 'High: 1,000 messages a second' } as Record<string, string>,
  numberStatuses: {
    CONNECTED: 'Connected',
    PENDING: 'Not connected yet',
    FLAGGED: 'Flagged by Meta because of its quality',
    RESTRICTED: 'Restricted by Meta: its limit is used up',
    RATE_LIMITED: 'Slowed down by Meta',
    DISCONNECTED: 'Disconnected',
    BANNED: 'Banned by Meta',
    MIGRATED: 'Moved to another account',
    DELETED: 'Deleted',
    UNVERIFIED: 'Not verified',
  } as Record<string, string>,
  unreachable: 'WhatsApp cannot be asked about the number at the moment. The page asks again by itself; what is being sent is not affected.',
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
