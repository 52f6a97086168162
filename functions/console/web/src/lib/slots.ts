/** The places of a template, in words. */

import { text } from '../i18n';
import type { Slot } from './message';

/** Such as `{{1}} in the text`, or `Link of button 1`. */
export function slotLabel(slot: Slot): string {
  const place = text.draft.place;
  if (slot.part === 'body') return place.body(slot.name);
  if (slot.part === 'button') return (slot.subType === 'copy_code' ? place.code : place.button)(String(Number(slot.index) + 1));
  return slot.kind === 'text' ? place.header : place.headerMedia(text.draft.media[slot.kind.toUpperCase()] ?? slot.kind);
}
