/** Data of the API that stays fresh while it is on the screen. */

import { asProblem, type Problem } from '../api/problem';

export interface ResourceOptions<T> {
  /** Milliseconds until it is loaded again; undefined for never. */
  interval?: (data: T | undefined) => number | undefined;
}

/** The slowest repetition after failures. */
const MAX_BACKOFF_MS = 30_000;

/** Milliseconds until the next try after so many failures in a row. */
export function backoff(failures: number): number {
  return Math.min(MAX_BACKOFF_MS, 1000 * 2 ** Math.max(0, failures - 1));
}

/**
 * Loads, and loads again. The former data stays while that happens, so that nothing jumps. A hidden page asks nothing.
 * Belongs to the component that makes it, during whose initialisation it must be made.
 */
export class Resource<T> {
  data: T | undefined = $state.raw();
  problem: Problem | undefined = $state.raw();
  /** When the data was loaded, in milliseconds since the Unix epoch. */
  loadedAt = $state(0);
  #failures = 0;
  #generation = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #load: () => Promise<T>;
  #options: ResourceOptions<T>;

  /** `load` is called again whenever what it reads before its first `await` changes. */
  constructor(load: () => Promise<T>, options: ResourceOptions<T> = {}) {
    this.#load = load;
    this.#options = options;
    $effect(() => {
      void this.#run(++this.#generation);
      const wake = () => document.visibilityState === 'visible' && this.refresh();
      document.addEventListener('visibilitychange', wake);
      addEventListener('online', wake);
      return () => {
        this.#generation += 1;
        clearTimeout(this.#timer);
        document.removeEventListener('visibilitychange', wake);
        removeEventListener('online', wake);
      };
    });
  }

  get isLoading(): boolean {
    return this.data === undefined && this.problem === undefined;
  }

  /** Loads now; resolves when that is done. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#run(++this.#generation);
  }

  /** Shows what an action answered, before the next load confirms it. */
  set(data: T): void {
    this.data = data;
  }

  async #run(generation: number): Promise<void> {
    try {
      const data = await this.#load();
      if (generation !== this.#generation) return;
      this.data = data;
      this.problem = undefined;
      this.loadedAt = Date.now();
      this.#failures = 0;
    } catch (error) {
      if (generation !== this.#generation) return;
      this.problem = asProblem(error);
      this.#failures += 1;
    }
    this.#schedule(generation);
  }

  #schedule(generation: number): void {
    const interval = this.#options.interval?.(this.data);
    const isTemporary = this.problem && (this.problem.isOffline || this.problem.status >= 500 || this.problem.status === 429);
    const wait = isTemporary ? Math.max(backoff(this.#failures), interval ?? 0) : interval;
    if (wait === undefined || (this.problem && !isTemporary)) return;
    this.#timer = setTimeout(() => {
      if (document.visibilityState === 'visible') void this.#run(generation);
    }, wait);
  }
}
