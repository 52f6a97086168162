/** What a recipient wrote, as a line of text. */

import type { InboundMessageView } from '../api/types';
import { text } from '../i18n';

export function inboundText(message: Pick<InboundMessageView, 'text' | 'payload' | 'type'>): string {
  if (message.text) return message.text;
  const kind = text.inbox.kinds[message.type] ?? message.type;
  return message.payload ? `${kind}: ${message.payload}` : kind;
}

/** The text of a message object of the Cloud API, for what was sent. */
export function outboundText(message: Record<string, unknown>): string {
  const at = (value: unknown, key: string) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined);
  const body = at(message['text'], 'body');
  if (typeof body === 'string') return body;
  const template = at(message['template'], 'name');
  return typeof template === 'string' ? `${text.inbox.chooseTemplate}: ${template}` : (text.inbox.kinds[String(message['type'])] ?? String(message['type'] ?? ''));
}
