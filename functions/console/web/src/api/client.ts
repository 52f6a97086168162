/** Requests to the API that served this page. */

import { asProblem, parseProblem, Problem } from './problem';

/** The page's own folder: behind API Gateway the API is below the same address as the page. */
const base = typeof document === 'undefined' ? 'http://localhost/' : new URL('.', document.baseURI).href;

type Query = Record<string, string | number | boolean | undefined>;

interface Options {
  path?: Record<string, string | number>;
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Called when the API no longer knows the session. */
let onSignedOut: () => void = () => {};
export function whenSignedOut(callback: () => void): void {
  onSignedOut = callback;
}

/** The address of a route; what is filled in is escaped. */
export function address(route: string, { path = {}, query = {} }: Options = {}): string {
  const filled = route.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name])));
  const url = new URL(filled.replace(/^\//, ''), base);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  return url.href;
}

async function send(method: string, route: string, options: Options): Promise<Response> {
  const { body, headers, signal } = options;
  const response = await fetch(address(route, options), {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    headers: {
      // A page of another origin cannot send it: requests that carry the session's cookie need it.
      'x-crier-console': '1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  if (response.ok) return response;
  const problem = parseProblem(response.status, await response.json().catch(() => undefined));
  if (response.status === 401) onSignedOut();
  throw problem;
}

/** Sends a request and reads its JSON; throws a `Problem`. */
export async function request<T>(method: string, route: string, options: Options = {}): Promise<T> {
  try {
    const response = await send(method, route, options);
    return (response.status === 204 ? undefined : await response.json()) as T;
  } catch (error) {
    throw asProblem(error);
  }
}

/** Sends a request and reads its body as a file. */
export async function download(route: string, options: Options = {}): Promise<{ blob: Blob; next: string | null }> {
  try {
    const response = await send('GET', route, options);
    return { blob: await response.blob(), next: response.headers.get('x-crier-next') };
  } catch (error) {
    throw asProblem(error);
  }
}

export { Problem };
