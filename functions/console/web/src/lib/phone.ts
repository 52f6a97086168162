/** Phone numbers that operators type. */

/** The number as `+` and digits; undefined if it cannot be one. The API decides whether it exists. */
export function cleanPhone(typed: string): string | undefined {
  const compact = typed.trim().replace(/[\s().\-\u2010-\u2015/]/g, '').replace(/^00/, '+');
  return /^\+\d{7,15}$/.test(compact) ? compact : undefined;
}

/** Whether the API hid digits from this role. */
export function isMasked(phone: string): boolean {
  return phone.includes('•');
}
