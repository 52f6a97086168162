import { afterEach, describe, expect, it, vi } from 'vitest';
import { address, request, whenSignedOut } from './client';
import { Problem } from './problem';

afterEach(() => vi.unstubAllGlobals());

function answer(status: number, body: unknown) {
  const fetch = vi.fn(async (_url: string, _options: RequestInit) => new Response(body === undefined ? null : JSON.stringify(body), { status }));
  vi.stubGlobal('fetch', fetch);
  return fetch;
}

describe('requests', () => {
  it('escape what they fill in, and leave out what is not set', () => {
    expect(address('/v1/contacts/{phone}', { path: { phone: '+55/..' }, query: { after: undefined, limit: 3 } })).toBe(
      'http://localhost/v1/contacts/%2B55%2F..?limit=3',
    );
  });

  it('carry the header that other origins cannot send', async () => {
    const fetch = answer(200, { ok: true });
    await request('POST', '/v1/campaigns', { body: { a: 1 } });
    const options = fetch.mock.calls[0]?.[1];
    expect(options?.headers).toMatchObject({ 'x-crier-console': '1', 'content-type': 'application/json' });
    expect(options?.credentials).toBe('same-origin');
  });

  it('throw what the API says', async () => {
    answer(422, { status: 422, title: 'invalid field', detail: 'must not be empty', field: '/name' });
    await expect(request('POST', '/v1/tokens', { body: {} })).rejects.toMatchObject({ status: 422, detail: 'must not be empty', field: '/name' });
  });

  it('tell that nobody is signed in any more', async () => {
    const signedOut = vi.fn();
    whenSignedOut(signedOut);
    answer(401, { title: 'not authorized', detail: '' });
    await expect(request('GET', '/v1/session')).rejects.toBeInstanceOf(Problem);
    expect(signedOut).toHaveBeenCalledOnce();
  });

  it('tell a lost connection from an answer that is no JSON', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('Failed to fetch');
    });
    await expect(request('GET', '/v1/session')).rejects.toMatchObject({ isOffline: true });
    vi.stubGlobal('fetch', async () => new Response('<html>', { status: 502 }));
    await expect(request('GET', '/v1/session')).rejects.toMatchObject({ status: 502, isOffline: false });
  });
});
