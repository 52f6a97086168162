/** The identity provider of this installation, if it has one, and the way back from its page. */

/** An identity provider (OpenID Connect). */
export interface Provider {
  issuer: string;
  client_id: string;
}

/** What the way back needs; kept in this tab while the person is at the provider's page. */
export interface Pending {
  provider: Provider;
  state: string;
  nonce: string;
  verifier: string;
  /** Where the person was in the console. */
  hash: string;
}

/**
 * Why a sign-in with the provider failed: the person was refused there; the provider does not answer; its answer is wrong; it
 * was not begun in this tab; the account has no role, or the token no name; the API does not accept the token, or does not answer.
 */
export type OidcFault = 'denied' | 'unreachable' | 'failed' | 'stale' | 'noRole' | 'noName' | 'refused' | 'offline';

const STORAGE_KEY = 'crier-sign-in';

/** How long the answer may take; without it there is no button, and tokens work. */
const TIMEOUT_MS = 5000;

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function parseProvider(value: unknown): Provider | null {
  const { issuer, client_id } = (value ?? {}) as Record<string, unknown>;
  return isText(issuer) && isText(client_id) ? { issuer, client_id } : null;
}

/** Asks who the provider is; null for none, and where nothing answers, such as beside `npm run dev`. */
export async function findProvider(): Promise<Provider | null> {
  try {
    const address = new URL('assets/sign-in.json', document.baseURI);
    const answer = await fetch(address, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    return parseProvider(((await answer.json()) as { oidc?: unknown }).oidc);
  } catch {
    return null;
  }
}

export function keepPending(pending: Pending): void {
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(pending));
}

/** What was kept, which can be used once. */
function takePending(): Pending | undefined {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? 'null') as Partial<Pending> | null;
    sessionStorage.removeItem(STORAGE_KEY);
    const provider = parseProvider(stored?.provider);
    const { state, nonce, verifier, hash } = stored ?? {};
    return provider && isText(state) && isText(nonce) && isText(verifier) ? { provider, state, nonce, verifier, hash: hash ?? '' } : undefined;
  } catch {
    // A browser that stores nothing.
    return undefined;
  }
}

/** The answer of the provider in the page's address, if it has one. */
export function answerIn(search: string): URLSearchParams | undefined {
  const query = new URLSearchParams(search);
  return query.has('state') && (query.has('code') || query.has('error')) ? query : undefined;
}

/** The way back from the provider's page; undefined for any other visit. What is kept has no further use then. */
export function takeReturn(): { query: URLSearchParams; pending: Pending | undefined } | undefined {
  const query = answerIn(location.search);
  return query && { query, pending: takePending() };
}

/** The page's address without a query and a fragment: what the provider knows as redirect URL. */
export const redirectUri = (): string => location.origin + location.pathname;
