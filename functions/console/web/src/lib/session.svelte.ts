/** Who is signed in, and what they may do. */

import * as api from '../api/calls';
import { whenSignedOut } from '../api/client';
import { asProblem, type Problem } from '../api/problem';
import type { Session } from '../api/types';
import { findProvider, keepPending, redirectUri, takeReturn, type OidcFault, type Provider } from './provider';
import { router } from './router.svelte';

let current: Session | undefined = $state.raw();
let status: 'asking' | 'out' | 'in' | 'failed' = $state('asking');
let problem: Problem | undefined = $state.raw();
let hasEnded = $state(false);
/** The identity provider; undefined while it is not known, null for none. */
let provider: Provider | null | undefined = $state.raw();
let oidcFault: OidcFault | undefined = $state();

/** Loaded only where somebody signs in with the provider. */
const loadOidc = () => import('./oidc');

/** What went wrong on the way to the provider or back. */
function faultOf(error: unknown): OidcFault {
  if (error instanceof Error && 'fault' in error) return error.fault as OidcFault;
  const { status, title, isOffline } = asProblem(error);
  if (isOffline) return 'offline';
  if (status === 403) return title === 'no name' ? 'noName' : 'noRole';
  return status === 401 ? 'refused' : 'failed';
}


whenSignedOut(() => {
  hasEnded ||= status === 'in';
  current = undefined;
  status = 'out';
});

export const session = {
  get status() {
    return status;
  },
  /** Why it is not known who is signed in. */
  get problem() {
    return problem;
  },
  /** Whether the session ended while the console was open. */
  get hasEnded() {
    return hasEnded;
  },
  /** The identity provider; undefined while it is not known, null for none. */
  get provider() {
    return provider;
  },
  /** Why the last sign-in with the provider failed. */
  get oidcFault() {
    return oidcFault;
  },
  /** The session; only where somebody is signed in. */
  get current(): Session {
    if (!current) throw new Error('nobody is signed in');
    return current;
  },
  /** Whether the role includes an operation, by the operation's id. */
  may(operation: string): boolean {
    return current?.allowed.includes(operation) ?? false;
  },
  /** At the begin of a visit: the person may come back from the provider's page. */
  async start(): Promise<void> {
    const returned = takeReturn();
    if (!returned) return session.load();
    const { query, pending } = returned;
    // The code must stay neither in the address nor in the history.
    const address = redirectUri();
    router.restore(pending?.hash ?? location.hash);
    if (!pending) {
      oidcFault = 'stale';
      return session.load();
    }
    try {
      const token = await (await loadOidc()).finish(pending, query, address);
      current = await api.signInWithOidc(token);
      status = 'in';
    } catch (error) {
      oidcFault = faultOf(error);
      status = 'out';
    }
  },
  /** Asks who the identity provider is. */
  async findProvider(): Promise<void> {
    provider ??= await findProvider();
  },
  /** Leaves the page for that of the provider. */
  async signInWithProvider(): Promise<void> {
    if (!provider) return;
    oidcFault = undefined;
    try {
      const { address, pending } = await (await loadOidc()).begin(provider, redirectUri());
      keepPending({ ...pending, hash: location.hash });
      location.assign(address);
    } catch (error) {
      oidcFault = faultOf(error);
    }
  },
  async load(): Promise<void> {
    try {
      current = await api.getSession();
      status = 'in';
      problem = undefined;
    } catch (error) {
      const found = asProblem(error);
      if (found.status === 401) return;
      problem = found;
      if (status !== 'in') status = 'failed';
    }
  },
  async signIn(token: string): Promise<void> {
    current = await api.signIn(token);
    oidcFault = undefined;
    hasEnded = false;
    status = 'in';
  },
  async signOut(): Promise<void> {
    await api.signOut();
    current = undefined;
    hasEnded = false;
    status = 'out';
  },
};
