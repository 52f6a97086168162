import { describe, expect, it } from 'vitest';
import { Problem } from '../api/problem';
import type { PartUpload, SignedPart } from '../api/types';
import { isTemporary, uploadParts, uploadWhole, type PartsApi, type Put } from './upload';

const PART = 10;

/** The storage and the API as their contract says: parts that arrived stay, completing twice is harmless. */
class Storage {
  parts = new Map<number, string>();
  completed = 0;
  puts: number[] = [];
  starts = 0;
  constructor(private size: number) {}

  private view(): PartUpload {
    const uploaded = [...this.parts].map(([part, content]) => ({ part, size: content.length, etag: `"${part}"` }));
    return { file: '1', size: this.size, part_size: PART, parts: Math.ceil(this.size / PART), uploaded, complete: this.completed > 0 };
  }
  api: PartsApi = {
    start: async () => {
      this.starts += 1;
      return this.view();
    },
    sign: async (parts) => parts.map((part): SignedPart => ({ part, method: 'PUT', url: `u${part}`, headers: {}, expires_at: '' })),
    complete: async () => {
      if (this.parts.size < Math.ceil(this.size / PART)) throw new Problem(409, 'missing parts', '');
      this.completed += 1;
      return this.view();
    },
  };
  put: Put = async ({ url }, body, onProgress) => {
    const part = Number(url.slice(1));
    this.puts.push(part);
    onProgress(body.size);
    this.parts.set(part, await body.text());
  };
  content(): string {
    return [...this.parts.keys()].sort((one, other) => one - other).map((part) => this.parts.get(part)).join('');
  }
}

const text = 'abcdefghijklmnopqrstuvwxyz0123456789-last';
const file = new Blob([text]);
const live = () => new AbortController().signal;

describe('upload in parts', () => {
  it('sends every byte once and completes once', async () => {
    const storage = new Storage(file.size);
    const progress: number[] = [];
    await uploadParts(storage.api, file, (bytes) => progress.push(bytes), live(), { put: storage.put });
    expect(storage.content()).toBe(text);
    expect([...storage.puts].sort()).toEqual([1, 2, 3, 4, 5]);
    expect(storage.completed).toBe(1);
    expect(progress.at(-1)).toBe(file.size);
    expect(Math.max(...progress)).toBe(file.size);
  });

  it('goes on after a lost connection with what is missing', async () => {
    const storage = new Storage(file.size);
    let broken = true;
    const waits: boolean[] = [];
    const put: Put = async (request, body, onProgress, signal) => {
      if (request.url === 'u3' && broken) throw new Problem(0, 'offline', '');
      await storage.put(request, body, onProgress, signal);
    };
    await uploadParts(storage.api, file, () => {}, live(), {
      put,
      concurrency: 1,
      wait: async () => {
        broken = false;
      },
      onWaiting: (waiting) => waits.push(waiting),
    });
    expect(storage.content()).toBe(text);
    expect(storage.puts.filter((part) => part === 1)).toHaveLength(1);
    expect(waits).toEqual([true, false]);
    expect(storage.completed).toBe(1);
  });

  it('goes on in another page with the parts that are there', async () => {
    const storage = new Storage(file.size);
    storage.parts.set(1, text.slice(0, PART));
    storage.parts.set(4, text.slice(3 * PART, 4 * PART));
    await uploadParts(storage.api, file, () => {}, live(), { put: storage.put });
    expect([...storage.puts].sort()).toEqual([2, 3, 5]);
    expect(storage.content()).toBe(text);
  });

  it('does nothing more where another page has completed it', async () => {
    const storage = new Storage(file.size);
    storage.completed = 1;
    for (let part = 1; part <= 5; part += 1) storage.parts.set(part, text.slice((part - 1) * PART, part * PART));
    await uploadParts(storage.api, file, () => {}, live(), { put: storage.put });
    expect(storage.puts).toEqual([]);
  });

  it('refuses a file of another size', async () => {
    const storage = new Storage(file.size + 1);
    await expect(uploadParts(storage.api, file, () => {}, live(), { put: storage.put })).rejects.toMatchObject({ title: 'other file' });
    expect(storage.puts).toEqual([]);
  });

  it('gives up where trying again cannot help', async () => {
    const storage = new Storage(file.size);
    storage.api.sign = async () => {
      throw new Problem(403, 'not allowed', 'your role is too low');
    };
    await expect(uploadParts(storage.api, file, () => {}, live(), { put: storage.put })).rejects.toMatchObject({ status: 403 });
    expect(storage.starts).toBe(1);
  });

  it('ends when it is stopped', async () => {
    const storage = new Storage(file.size);
    const abort = new AbortController();
    const put: Put = (_request, _body, _onProgress, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
        abort.abort();
      });
    await expect(uploadParts(storage.api, file, () => {}, abort.signal, { put })).rejects.toMatchObject({ name: 'AbortError' });
    expect(storage.completed).toBe(0);
  });
});

describe('upload in one request', () => {
  const signed = { method: 'PUT', url: 'u', headers: {}, expires_at: '' };

  it('counts as done if an earlier try has arrived', async () => {
    const put: Put = async () => {
      throw new Problem(412, 'upload', 'At least one of the pre-conditions you specified did not hold');
    };
    let done = 0;
    await uploadWhole(signed, file, (bytes) => (done = bytes), live(), put);
    expect(done).toBe(file.size);
  });

  it('fails with what the storage says', async () => {
    const put: Put = async () => {
      throw new Problem(403, 'upload', 'Request has expired');
    };
    await expect(uploadWhole(signed, file, () => {}, live(), put)).rejects.toMatchObject({ detail: 'Request has expired' });
  });
});

it('an expired signature is temporary, a missing right is not', () => {
  expect(isTemporary(new Problem(403, 'upload', ''))).toBe(true);
  expect(isTemporary(new Problem(403, 'not allowed', ''))).toBe(false);
  expect(isTemporary(new Problem(503, 'not available', ''))).toBe(true);
  expect(isTemporary(new TypeError('Failed to fetch'))).toBe(true);
  expect(isTemporary(new Error('a mistake of ours'))).toBe(false);
});
