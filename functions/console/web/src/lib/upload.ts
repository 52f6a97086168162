/** Uploads: one request, or parts that go on where they stopped. */

import type { PartUpload, SignedPart, SignedUpload } from '../api/types';
import { Problem } from '../api/problem';

/** Told how many bytes have arrived. */
export type OnProgress = (bytes: number) => void;

/** PUTs bytes to a signed URL, with progress, which `fetch` does not have. */
export type Put = (request: { url: string; headers: Record<string, string> }, body: Blob, onProgress: OnProgress, signal: AbortSignal) => Promise<void>;

export const putBlob: Put = ({ url, headers }, body, onProgress, signal) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', url);
    for (const [name, value] of Object.entries(headers)) {
      // The browser sets it, and forbids others to.
      if (name.toLowerCase() !== 'content-length') request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(new Problem(request.status, 'upload', storageMessage(request.responseText)));
    };
    request.onerror = () => reject(new Problem(0, 'offline', ''));
    request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send(body);
  });

/** The message in the storage's XML. */
function storageMessage(xml: string): string {
  return /<Message>([^<]*)<\/Message>/.exec(xml)?.[1] ?? '';
}

export async function uploadWhole(upload: SignedUpload, file: Blob, onProgress: OnProgress, signal: AbortSignal, put: Put = putBlob): Promise<void> {
  try {
    await put(upload, file, onProgress, signal);
  } catch (error) {
    // The object is there: an earlier try arrived although its answer was lost. It can be written once only.
    if (!(error instanceof Problem && error.status === 412)) throw error;
  }
  onProgress(file.size);
}

/** What an upload in parts asks of the API. */
export interface PartsApi {
  /** Begins the upload, or finds the one that was begun. */
  start: () => Promise<PartUpload>;
  sign: (parts: number[]) => Promise<SignedPart[]>;
  complete: () => Promise<PartUpload>;
}

export interface PartsOptions {
  put?: Put;
  /** Resolves when another try may be made; rejects to give up. */
  wait?: (failures: number, signal: AbortSignal) => Promise<void>;
  /** Parts on their way at the same time. */
  concurrency?: number;
  /** Told when the connection is lost (true) and when it is back. */
  onWaiting?: (waiting: boolean) => void;
}

/** URLs signed by one request. */
const SIGNED_AT_ONCE = 8;

/**
 * Uploads a file in parts. A lost connection costs the parts that were on their way; everything that arrived stays, also when
 * the page is closed and opened again. Completes exactly once.
 */
export async function uploadParts(api: PartsApi, file: Blob, onProgress: OnProgress, signal: AbortSignal, options: PartsOptions = {}): Promise<void> {
  const { put = putBlob, wait = waitForConnection, concurrency = 3, onWaiting = () => {} } = options;
  let failures = 0;
  for (;;) {
    try {
      await uploadMissing(api, file, onProgress, signal, put, concurrency, () => {
        if (failures > 0) onWaiting(false);
        failures = 0;
      });
      const done = await api.complete();
      if (!done.complete) throw new Problem(503, 'upload', '');
      onProgress(file.size);
      return;
    } catch (error) {
      if (signal.aborted || !isTemporary(error)) throw error;
      failures += 1;
      onWaiting(true);
      await wait(failures, signal);
    }
  }
}

/** No connection, a busy service, or a signature that expired while the machine slept. */
export function isTemporary(error: unknown): boolean {
  if (!(error instanceof Problem)) return error instanceof TypeError;
  // The storage, not the API, answers 403 where a signature has expired.
  const hasExpired = error.status === 403 && error.title === 'upload';
  return hasExpired || error.status === 0 || error.status === 429 || error.status >= 500;
}

async function uploadMissing(api: PartsApi, file: Blob, onProgress: OnProgress, signal: AbortSignal, put: Put, concurrency: number, onPart: () => void): Promise<void> {
  const upload = await api.start();
  if (upload.complete) return;
  if (upload.size !== file.size) throw new Problem(409, 'other file', '');
  const done = new Set(upload.uploaded.map((part) => part.part));
  const missing = Array.from({ length: upload.parts }, (_, index) => index + 1).filter((part) => !done.has(part));
  const slice = (part: number) => file.slice((part - 1) * upload.part_size, part * upload.part_size);
  let arrived = [...done].reduce((sum, part) => sum + slice(part).size, 0);
  const underway = new Map<number, number>();
  const report = () => onProgress(arrived + [...underway.values()].reduce((sum, bytes) => sum + bytes, 0));
  report();
  // One failed part ends the others: all of them are tried again together.
  const round = new AbortController();
  const stop = () => round.abort();
  signal.addEventListener('abort', stop);
  const signed: SignedPart[] = [];
  const queue = [...missing];
  const next = async (): Promise<SignedPart | undefined> => {
    if (signed.length === 0 && queue.length > 0) signed.push(...(await api.sign(queue.splice(0, SIGNED_AT_ONCE))));
    return signed.shift();
  };
  let turn: Promise<unknown> = Promise.resolve();
  const take = (): Promise<SignedPart | undefined> => {
    const mine = turn.then(next);
    turn = mine.catch(() => undefined);
    return mine;
  };
  const worker = async () => {
    for (let part = await take(); part; part = await take()) {
      const { part: number } = part;
      const body = slice(number);
      await put(part, body, (bytes) => (underway.set(number, bytes), report()), round.signal);
      underway.delete(number);
      arrived += body.size;
      onPart();
      report();
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, missing.length) }, worker));
  } finally {
    stop();
    signal.removeEventListener('abort', stop);
  }
}

/** Waits longer after each failure, and not at all once the connection is back. */
function waitForConnection(failures: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, Math.min(30_000, 1000 * 2 ** (failures - 1)));
    addEventListener('online', () => (clearTimeout(timer), resolve()), { once: true, signal });
    signal.addEventListener('abort', () => (clearTimeout(timer), reject(new DOMException('cancelled', 'AbortError'))));
  });
}
