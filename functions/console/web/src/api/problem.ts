/** What went wrong with a request, as a sentence with what to do. */

export class Problem extends Error {
  constructor(
    /** The HTTP status; 0 if there was no answer. */
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** JSON pointer to the field at fault. */
    readonly field?: string,
  ) {
    super(detail || title);
    this.name = 'Problem';
  }

  /** Whether nothing answered: the network is gone, or the address is wrong. */
  get isOffline(): boolean {
    return this.status === 0;
  }
}

/** A problem document (RFC 9457), or what stands in for one. */
export function parseProblem(status: number, body: unknown): Problem {
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const text = (name: string) => (typeof fields[name] === 'string' ? (fields[name] as string) : undefined);
  return new Problem(status, text('title') ?? `HTTP ${status}`, text('detail') ?? '', text('field'));
}

/** Any failure as a problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  // `fetch` rejects with a TypeError if there is no connection.
  return error instanceof TypeError
    ? new Problem(0, 'offline', '')
    : new Problem(500, 'console', error instanceof Error ? error.message : String(error));
}
