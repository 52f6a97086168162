/** Who is signed in, and what they may do. */

import * as api from '../api/calls';
import { whenSignedOut } from '../api/client';
import { asProblem, type Problem } from '../api/problem';
import type { Session } from '../api/types';

let current: Session | undefined = $state.raw();
let status: 'asking' | 'out' | 'in' | 'failed' = $state('asking');
let problem: Problem | undefined = $state.raw();
let hasEnded = $state(false);

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
  /** The session; only where somebody is signed in. */
  get current(): Session {
    if (!current) throw new Error('nobody is signed in');
    return current;
  },
  /** Whether the role includes an operation, by the operation's id. */
  may(operation: string): boolean {
    return current?.allowed.includes(operation) ?? false;
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
