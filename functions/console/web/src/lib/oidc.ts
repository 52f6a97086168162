/**
 * Sign-in with an identity provider: OpenID Connect, authorization code with PKCE (RFC 7636). This file and the library are
 * loaded when somebody signs in that way. It imports nothing of the first load, whose file has another name once it is built.
 */

import * as oauth from 'oauth4webapi';
import type { OidcFault, Pending, Provider } from './provider';

/** Why the sign-in failed; `name` says which sentence the reader gets. */
export class OidcError extends Error {
  constructor(
    readonly fault: OidcFault,
    cause?: unknown,
  ) {
    super(fault, { cause });
    this.name = 'OidcError';
  }
}

/** How long the provider may take for an answer. */
const TIMEOUT_MS = 15_000;

/** Plain HTTP only on this machine, where tests have a provider of their own. */
const isLocal = (url: URL) => url.protocol === 'http:' && url.hostname === '127.0.0.1';
const isAllowed = (url: URL) => url.protocol === 'https:' || isLocal(url);

function endpoint(address: string | undefined): URL {
  const url = address && URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !isAllowed(url)) throw new OidcError('failed', 'the provider names no endpoint over HTTPS');
  return url;
}

function options(provider: Provider) {
  return {
    [oauth.allowInsecureRequests]: isLocal(new URL(provider.issuer)),
    [oauth.customFetch]: async (url: string, init: RequestInit) => {
      endpoint(url);
      const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS), credentials: 'omit' }).catch((error: unknown) => {
        throw new OidcError('unreachable', error);
      });
      if (answer.status >= 500) throw new OidcError('unreachable', answer.status);
      return answer;
    },
  };
}

async function discover(provider: Provider): Promise<oauth.AuthorizationServer> {
  const issuer = endpoint(provider.issuer);
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options(provider)));
}

/** Any failure as one that has a sentence. */
function explain(error: unknown): OidcError {
  if (error instanceof OidcError) return error;
  const isDenied = error instanceof oauth.AuthorizationResponseError && error.error === 'access_denied';
  return new OidcError(isDenied ? 'denied' : 'failed', error);
}

/** The provider's page where the person signs in, and what the way back needs. */
export async function begin(provider: Provider, redirectUri: string): Promise<{ address: string; pending: Omit<Pending, 'hash'> }> {
  try {
    const server = await discover(provider);
    const [state, nonce, verifier] = [oauth.generateRandomState(), oauth.generateRandomNonce(), oauth.generateRandomCodeVerifier()];
    const address = endpoint(server.authorization_endpoint);
    const request = {
      client_id: provider.client_id,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: 'openid profile email',
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(request)) address.searchParams.set(name, value);
    return { address: address.href, pending: { provider, state, nonce, verifier } };
  } catch (error) {
    throw explain(error);
  }
}

/**
 * Exchanges the code that the provider sent the person back with for an ID token. Its signature is checked by the gateway in
 * front of the API; here its issuer, audience, times and nonce are.
 */
export async function finish(pending: Pending, query: URLSearchParams, redirectUri: string): Promise<string> {
  try {
    const { provider, state, nonce, verifier } = pending;
    const server = await discover(provider);
    const client: oauth.Client = { client_id: provider.client_id };
    const parameters = oauth.validateAuthResponse(server, client, query, state);
    const answer = await oauth.authorizationCodeGrantRequest(server, client, oauth.None(), parameters, redirectUri, verifier, options(provider));
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, { expectedNonce: nonce, requireIdToken: true });
    if (!tokens.id_token) throw new OidcError('failed', 'no ID token');
    return tokens.id_token;
  } catch (error) {
    throw explain(error);
  }
}
