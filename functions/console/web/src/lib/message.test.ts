import { describe, expect, it } from 'vitest';
import type { Template } from '../api/types';
import {
  buildMessage,
  chosenValues,
  columnOf,
  columnsIn,
  columnValue,
  fill,
  guessValues,
  missingSlots,
  pieces,
  slots,
  substituteOf,
  templateOf,
  textLength,
  UNFILLED,
  valuesOf,
  withStandIns,
} from './message';

const template: Template = {
  name: 'order_update',
  language: 'en',
  category: 'UTILITY',
  header: 'image',
  body: ['1', '2'],
  buttons: ['0 url', '1 copy_code'],
  status: 'APPROVED',
  quality: null,
  preview: {
    header: { format: 'IMAGE', text: null },
    body: 'Hello {{1}}, your order over {{2}} is on its way.',
    footer: null,
    buttons: [],
  },
};
const values = { header: 'https://x.example/a.png', 'body.1': '{{Name}}', 'body.2': '{{Amount}} €', 'button.0': '{{Order}}', 'button.1': 'SALE' };

describe('messages', () => {
  it('are what the Cloud API takes, and give the values back', () => {
    const message = buildMessage(template, values);
    expect(message).toEqual({
      type: 'template',
      template: {
        name: 'order_update',
        language: { code: 'en' },
        components: [
          { type: 'header', parameters: [{ type: 'image', image: { link: 'https://x.example/a.png' } }] },
          { type: 'body', parameters: [{ type: 'text', text: '{{Name}}' }, { type: 'text', text: '{{Amount}} €' }] },
          { type: 'button', sub_type: 'url', index: '0', parameters: [{ type: 'text', text: '{{Order}}' }] },
          { type: 'button', sub_type: 'copy_code', index: '1', parameters: [{ type: 'coupon_code', coupon_code: 'SALE' }] },
        ],
      },
    });
    expect(valuesOf(message)).toEqual(values);
    expect(templateOf(message)).toEqual({ name: 'order_update', language: 'en' });
  });

  it('name the parameters of templates with names', () => {
    const named = { ...template, header: null, body: ['day', 'name'], buttons: [] };
    const message = buildMessage(named, { 'body.day': '{{Day}}', 'body.name': '{{Name}}' });
    expect(JSON.stringify(message)).toContain('"parameter_name":"day"');
    expect(valuesOf(message)).toEqual({ 'body.day': '{{Day}}', 'body.name': '{{Name}}' });
  });

  it('have no components without parameters', () => {
    const plain = { ...template, header: null, body: [], buttons: [] };
    expect(buildMessage(plain, {})).toEqual({ type: 'template', template: { name: 'order_update', language: { code: 'en' } } });
  });

  it('keep a place for what nobody has chosen', () => {
    const filled = withStandIns(slots(template), { 'body.1': '{{Name}}' });
    expect(filled['body.2']).toBe(UNFILLED);
    const chosen = chosenValues(buildMessage(template, filled));
    expect(chosen).toEqual({ 'body.1': '{{Name}}' });
    expect(missingSlots(slots(template), chosen).map((slot) => slot.key)).toEqual(['header', 'body.2', 'button.0', 'button.1']);
  });
});

describe('columns', () => {
  it('are found by name, else in their order, without phone numbers', () => {
    const all = slots({ ...template, header: null, buttons: [] });
    expect(guessValues(all, ['Name', 'Phone', 'Amount'])).toEqual({ 'body.1': '{{Name}}', 'body.2': '{{Amount}}' });
    const named = slots({ header: null, body: ['first_name'], buttons: [] });
    expect(guessValues(named, ['Móvil', 'First Name'])).toEqual({ 'body.first_name': '{{First Name}}' });
    expect(guessValues(named, ['Other'])).toEqual({});
  });

  it('may have a substitute for empty cells', () => {
    expect(columnOf('{{Name|friend}}')).toBe('Name');
    expect(substituteOf('{{Name|friend}}')).toBe('friend');
    expect(columnOf('{{Amount}} €')).toBeUndefined();
    expect(columnValue('Name', 'my {{friend}}|')).toBe('{{Name|my friend}}');
    expect(columnsIn('{{A}} and {{B|x}}')).toEqual(['A']);
    expect(fill('{{Name|friend}}, {{Amount}}', { Name: '', Amount: '3' })).toBe('friend, 3');
  });
});

describe('previews', () => {
  it('show values in their places, as text whatever they contain', () => {
    const shown = pieces('Hi {{1}}!', 'body', { 'body.1': '<b>{{2}}</b>' });
    expect(shown).toEqual([
      { text: 'Hi ', filled: false },
      { text: '<b>{{2}}</b>', filled: true },
      { text: '!', filled: false },
    ]);
    expect(pieces('Hi {{1}}', 'body', {}).at(-1)).toEqual({ text: '{{1}}', filled: true });
  });

  it('count characters as a person does', () => {
    expect(textLength({ header: null, body: '{{1}}', footer: null, buttons: [] }, { 'body.1': '👍é' })).toBe(2);
  });
});
