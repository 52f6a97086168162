import { describe, expect, it } from 'vitest';
import type { Template } from '../api/types';
import { checkSingle, emptyForm, fieldAt, outcomeOf, type SingleForm } from './single';

const template: Template = {
  name: 'order_update',
  language: 'en',
  category: 'UTILITY',
  header: null,
  body: ['1', '2'],
  buttons: ['0 url'],
  status: 'APPROVED',
  quality: null,
  preview: null,
};
const filled: SingleForm = { ...emptyForm(), to: '+55 (11) 98765-4321', values: { 'body.1': 'Ana', 'body.2': '20 €', 'button.0': 'o1' } };

describe('a single message', () => {
  it('is what the API takes', () => {
    const components = [
      { type: 'body', parameters: [{ type: 'text', text: 'Ana' }, { type: 'text', text: '20 €' }] },
      { type: 'button', sub_type: 'url', index: '0', parameters: [{ type: 'text', text: 'o1' }] },
    ];
    const message = { type: 'template', template: { name: 'order_update', language: { code: 'en' }, components } };
    expect(checkSingle(filled, template)).toEqual({ body: { to: '+5511987654321', message, urgent: true } });
    const other = checkSingle({ ...filled, isUrgent: false, number: '2' }, template);
    expect(other).toEqual({ body: { to: '+5511987654321', message, urgent: false, number: '2' } });
  });

  it('needs a phone number and every value, without placeholders', () => {
    const faults = (form: SingleForm) => {
      const checked = checkSingle(form, template);
      return 'wrong' in checked ? checked.wrong.map(({ field, fault }) => `${field} ${fault}`) : [];
    };
    expect(faults(emptyForm())).toEqual(['message-to phone', 'value-body.1 empty', 'value-body.2 empty', 'value-button.0 empty']);
    expect(faults({ ...filled, to: '11 98765-4321' })).toEqual(['message-to phone']);
    expect(faults({ ...filled, values: { ...filled.values, 'body.1': '{{Name}}', 'body.2': ' ' } })).toEqual(['value-body.1 placeholder', 'value-body.2 empty']);
  });

  it('has the fields that the API points to', () => {
    const pointers = ['/to', '/number', '/message/template/components/0/parameters/1/text', '/message/template/components/1/parameters/0'];
    expect(pointers.map((pointer) => fieldAt(pointer, template))).toEqual(['message-to', 'message-number', 'value-body.2', 'value-button.0']);
    const others = [undefined, '/message', '/message/template/components', '/message/template/components/7/parameters/0'];
    expect(others.map((pointer) => fieldAt(pointer, template))).toEqual(['', '', '', '']);
    const withHeader = { ...template, header: 'image' };
    expect(fieldAt('/message/template/components/0/parameters/0/image/link', withHeader)).toBe('value-header');
  });

  it('is asked for until nothing changes any more', () => {
    expect(outcomeOf('waiting').next).toBeLessThan(outcomeOf('accepted').next ?? 0);
    expect((['retry', 'held', 'claimed'] as const).every((status) => outcomeOf(status).tone === 'working')).toBe(true);
    expect((['read', 'rejected', 'undelivered', 'skipped'] as const).map((status) => outcomeOf(status).next)).toEqual([undefined, undefined, undefined, undefined]);
    expect(outcomeOf('sent').word).toBe('accepted');
  });
});
