/** Templates and the messages that fill them. */

import type { Message, Template, TemplatePreview } from '../api/types';

/** A parameter of a template that each message fills in. */
export interface Slot {
  key: string;
  part: 'header' | 'body' | 'button';
  /** `text`, the kind of a media header, or `location`. */
  kind: string;
  /** Its name in the template: a number, or a name. */
  name: string;
  /** Position of the button. */
  index?: string;
  subType?: string;
}

/** What fills a parameter: text in which `{{column}}` stands for the cell of that column. */
export type Values = Record<string, string>;

export function slots(template: Pick<Template, 'header' | 'body' | 'buttons'>): Slot[] {
  const found: Slot[] = [];
  if (template.header) found.push({ key: 'header', part: 'header', kind: template.header, name: '1' });
  for (const name of template.body) found.push({ key: `body.${name}`, part: 'body', kind: 'text', name });
  for (const button of template.buttons) {
    const [index = '0', subType = 'url'] = button.split(' ');
    found.push({ key: `button.${index}`, part: 'button', kind: 'text', name: '1', index, subType });
  }
  return found;
}

const isPositional = (name: string) => /^\d+$/.test(name);

/** The message object of the Cloud API. */
export function buildMessage(template: Template, values: Values): Message {
  const components: Record<string, unknown>[] = [];
  const all = slots(template);
  const value = (slot: Slot) => values[slot.key] ?? '';
  const header = all.find((slot) => slot.part === 'header');
  if (header) {
    components.push({ type: 'header', parameters: [headerParameter(header, value(header))] });
  }
  const body = all.filter((slot) => slot.part === 'body');
  if (body.length > 0) {
    const parameters = body.map((slot) => ({
      type: 'text',
      ...(isPositional(slot.name) ? {} : { parameter_name: slot.name }),
      text: value(slot),
    }));
    components.push({ type: 'body', parameters });
  }
  for (const slot of all.filter((slot) => slot.part === 'button')) {
    const parameter =
      slot.subType === 'copy_code'
        ? { type: 'coupon_code', coupon_code: value(slot) }
        : { type: 'text', text: value(slot) };
    components.push({ type: 'button', sub_type: slot.subType, index: slot.index, parameters: [parameter] });
  }
  return {
    type: 'template',
    template: {
      name: template.name,
      language: { code: template.language },
      ...(components.length > 0 ? { components } : {}),
    },
  };
}

function headerParameter(slot: Slot, value: string): Record<string, unknown> {
  return slot.kind === 'text' ? { type: 'text', text: value } : { type: slot.kind, [slot.kind]: { link: value } };
}

type Json = Record<string, unknown>;
const record = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(record) : []);
const string = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The name and language of a template message. */
export function templateOf(message: Message): { name: string; language: string } | undefined {
  const template = record(message['template']);
  const name = string(template['name']);
  return name ? { name, language: string(record(template['language'])['code']) } : undefined;
}

/** What fills each parameter of a message. */
export function valuesOf(message: Message): Values {
  const values: Values = {};
  for (const component of list(record(message['template'])['components'])) {
    const parameters = list(component['parameters']);
    const type = string(component['type']).toLowerCase();
    parameters.forEach((parameter, position) => {
      const kind = string(parameter['type']);
      const media = record(parameter[kind]);
      const text = string(parameter['text']) || string(parameter['coupon_code']) || string(media['link']) || string(media['id']);
      if (type === 'header') values['header'] = text;
      else if (type === 'body') values[`body.${string(parameter['parameter_name']) || String(position + 1)}`] = text;
      else if (type === 'button') values[`button.${String(component['index'])}`] = text;
    });
  }
  return values;
}

/** `{{column}}`, or `{{column|what stands there if the cell is empty}}`. */
const PLACEHOLDER = /\{\{([^{}|]+)(?:\|([^{}]*))?\}\}/;

/** The one column that a value is, and nothing else. */
export function columnOf(value: string): string | undefined {
  return new RegExp(`^${PLACEHOLDER.source}$`).exec(value.trim())?.[1]?.trim();
}

/** What stands for an empty cell. */
export function substituteOf(value: string): string {
  return new RegExp(`^${PLACEHOLDER.source}$`).exec(value.trim())?.[2] ?? '';
}

/** The value that is a column. */
export function columnValue(column: string, substitute: string): string {
  return substitute ? `{{${column}|${substitute.replace(/[{}|]/g, '')}}}` : `{{${column}}}`;
}

/** The columns that values name and that have nothing to stand for an empty cell. */
export function columnsIn(value: string): string[] {
  return [...value.matchAll(new RegExp(PLACEHOLDER, 'g'))].filter((match) => !match[2]).map((match) => (match[1] ?? '').trim());
}

/** The value with a row's cells; what the row does not have stays empty. */
export function fill(value: string, cells: Record<string, string>): string {
  return value.replace(new RegExp(PLACEHOLDER, 'g'), (_, name: string, substitute?: string) => cells[name.trim()] || (substitute ?? ''));
}

export function fillAll(values: Values, cells: Record<string, string>): Values {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, fill(value, cells)]));
}

/** A piece of a shown text: as the template has it, or filled in. */
export interface Piece {
  text: string;
  filled: boolean;
}

/** A template's text with its parameters filled in; a parameter without a value shows its name. */
export function pieces(text: string, prefix: 'header' | 'body', values: Values): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(/\{\{\s*([^{}]+?)\s*\}\}/g)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index), filled: false });
    const value = values[prefix === 'header' ? 'header' : `body.${match[1]}`];
    found.push({ text: value === undefined || value === '' ? match[0] : value, filled: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push({ text: text.slice(end), filled: false });
  return found;
}

/** How long the message is that a recipient reads. */
export function textLength(preview: TemplatePreview | null, values: Values): number {
  const parts = preview
    ? [...pieces(preview.header?.text ?? '', 'header', values), ...pieces(preview.body, 'body', values)]
    : Object.values(values).map((text) => ({ text }));
  return parts.reduce((sum, part) => sum + [...part.text].length, 0);
}

/** The best column for each parameter: one of the same name, whatever its spelling; else the columns in their order. */
export function guessValues(all: Slot[], columns: string[], phoneColumns: string[] = []): Values {
  const plain = (name: string) =>
    name
      .normalize('NFD')
      .replace(/[^\p{Letter}\p{Number}]/gu, '')
      .toLowerCase();
  const free = columns.filter((column) => !phoneColumns.includes(column) && !/phone|mobile|tel|cel|whats|m[oó]vil|fone/i.test(column));
  const values: Values = {};
  for (const slot of all.filter((slot) => slot.kind === 'text')) {
    const named = isPositional(slot.name) ? undefined : columns.find((column) => plain(column) === plain(slot.name));
    const chosen = named ?? (isPositional(slot.name) && slot.part !== 'header' ? free.shift() : undefined);
    if (chosen) values[slot.key] = `{{${chosen}}}`;
  }
  return values;
}

/** Parameters that nothing fills. */
export function missingSlots(all: Slot[], values: Values): Slot[] {
  return all.filter((slot) => !(values[slot.key] ?? '').trim());
}

/** Stands in a message for a parameter that nobody has filled yet: WhatsApp accepts no empty one. */
export const UNFILLED = '–';

/** The message's values, without stand-ins. */
export function chosenValues(message: Message): Values {
  return Object.fromEntries(Object.entries(valuesOf(message)).filter(([, value]) => value !== UNFILLED));
}

/** The values with stand-ins where one is missing. */
export function withStandIns(all: Slot[], values: Values): Values {
  return Object.fromEntries(all.map((slot) => [slot.key, (values[slot.key] ?? '').trim() || UNFILLED]));
}
