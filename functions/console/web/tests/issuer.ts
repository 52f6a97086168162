/**
 * An identity provider (OpenID Connect) on this machine: whoever is sent to it comes back at once as the person that the test
 * chose. It checks what providers check: the redirect URL, the code's single use, PKCE.
 */

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How the test wants the next people to be. */
export interface Person {
  sub: string;
  email?: string;
  email_verified?: boolean;
  groups?: string[];
}

export interface Behaviour {
  /** Who signs in; nobody is refused with `access_denied`. */
  person?: Person | null;
  /** The audience of the tokens, the client by default. */
  audience?: string;
  /** Seconds until the tokens expire. */
  lifetime?: number;
  /** Whether another key signs them than the published one of the same name. */
  isForged?: boolean;
  /** The nonce of the tokens, that of the request by default. */
  nonce?: string;
  /** The state with which people are sent back, that of the request by default. */
  state?: string;
}

interface Grant {
  redirectUri: string;
  challenge: string;
  nonce: string | null;
}

const KEY_ID = 'test-1';

/** The key of former runs: a gateway keeps what it fetched for hours, also of a stack that stays. */
function loadKey(): KeyObject {
  const file = join(tmpdir(), 'crier-test-issuer.pem');
  try {
    return createPrivateKey(readFileSync(file));
  } catch {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    return privateKey;
  }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}

export class Issuer {
  readonly #key = loadKey();
  readonly #otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  readonly #grants = new Map<string, Grant>();
  readonly #server: Server;
  #behaviour: Behaviour = {};

  private constructor(
    readonly url: string,
    readonly clientId: string,
  ) {
    this.#server = createServer((request, response) => void this.#respond(request, response));
  }

  /** Listens where the stack expects it: `url` is `http://127.0.0.1:` and a port. */
  static async start(url: string, clientId: string): Promise<Issuer> {
    const issuer = new Issuer(url, clientId);
    await new Promise<void>((resolve, reject) => {
      issuer.#server.once('error', reject).listen(Number(new URL(url).port), '127.0.0.1', resolve);
    });
    return issuer;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** An ID token (RS256) as the behaviour wants it. */
  #token(nonce: string | null): string {
    const { person, audience, lifetime = 300, isForged, nonce: other } = this.#behaviour;
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: this.url, aud: audience ?? this.clientId, iat: now - 1, exp: now + lifetime, ...person, nonce: other ?? nonce ?? undefined };
    const content = `${encode({ alg: 'RS256', typ: 'JWT', kid: KEY_ID })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(content), isForged ? this.#otherKey : this.#key);
    return `${content}.${signature.toString('base64url')}`;
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const cors = { 'access-control-allow-origin': request.headers.origin ?? '*', 'access-control-allow-headers': '*' };
    const answer = (status: number, body: unknown) => response.writeHead(status, { ...cors, 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (pathname === '/test/behaviour') {
      this.#behaviour = JSON.parse(await readBody(request)) as Behaviour;
      return void answer(200, {});
    }
    if (pathname === '/test/token') return void answer(200, { token: this.#token(null) });
    if (request.method === 'OPTIONS') return void response.writeHead(204, cors).end();
    switch (pathname) {
      case '/.well-known/openid-configuration':
        return void answer(200, {
          issuer: this.url,
          authorization_endpoint: `${this.url}/authorize`,
          token_endpoint: `${this.url}/token`,
          jwks_uri: `${this.url}/keys`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
          code_challenge_methods_supported: ['S256'],
          token_endpoint_auth_methods_supported: ['none'],
        });
      case '/keys':
        return void answer(200, { keys: [{ ...createPublicKey(this.#key).export({ format: 'jwk' }), kid: KEY_ID, alg: 'RS256', use: 'sig' }] });
      case '/authorize':
        return this.#authorize(searchParams, response);
      case '/token':
        return void answer(...this.#exchange(new URLSearchParams(await readBody(request))));
      default:
        return void answer(404, {});
    }
  }

  #authorize(query: URLSearchParams, response: ServerResponse): void {
    const back = new URL(query.get('redirect_uri') ?? '');
    const wanted = { client_id: this.clientId, response_type: 'code', code_challenge_method: 'S256' };
    const isWanted = Object.entries(wanted).every(([name, value]) => query.get(name) === value) && (query.get('scope') ?? '').includes('openid');
    const challenge = query.get('code_challenge');
    back.searchParams.set('state', this.#behaviour.state ?? query.get('state') ?? '');
    if (!isWanted || !challenge) {
      back.searchParams.set('error', 'invalid_request');
    } else if (this.#behaviour.person) {
      const code = randomBytes(16).toString('base64url');
      this.#grants.set(code, { redirectUri: query.get('redirect_uri') ?? '', challenge, nonce: query.get('nonce') });
      back.searchParams.set('code', code);
    } else {
      back.searchParams.set('error', 'access_denied');
    }
    response.writeHead(302, { location: back.href }).end();
  }

  #exchange(form: URLSearchParams): [number, unknown] {
    const code = form.get('code') ?? '';
    const grant = this.#grants.get(code);
    // A code is used once, whoever has it.
    this.#grants.delete(code);
    const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
    const isRight =
      grant !== undefined &&
      form.get('grant_type') === 'authorization_code' &&
      form.get('client_id') === this.clientId &&
      form.get('redirect_uri') === grant.redirectUri &&
      challenge === grant.challenge;
    if (!isRight) return [400, { error: 'invalid_grant' }];
    return [200, { access_token: randomBytes(16).toString('base64url'), token_type: 'Bearer', expires_in: 300, id_token: this.#token(grant.nonce) }];
  }
}
