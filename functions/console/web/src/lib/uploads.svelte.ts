/** Uploads that run while the operator looks at other screens. */

import * as api from '../api/calls';
import { asProblem, type Problem } from '../api/problem';
import type { Session, SignedUpload } from '../api/types';
import { text } from '../i18n';
import { bytes } from './format';
import { uploadParts, uploadWhole } from './upload';

export interface UploadJob {
  id: string;
  /** The file's number in its campaign, or its exclude list. */
  part: number | 'exclude';
  file: File;
  signed: SignedUpload;
}

/** What an upload shows. */
export class Upload {
  readonly name: string;
  readonly size: number;
  readonly startedAt = Date.now();
  done = $state(0);
  isWaiting = $state(false);
  problem: Problem | undefined = $state.raw();
  isComplete = $state(false);
  readonly job: UploadJob;
  #abort = new AbortController();

  constructor(job: UploadJob) {
    this.job = job;
    this.name = job.file.name;
    this.size = job.file.size;
  }

  /** Seconds that are left at the speed so far. */
  get secondsLeft(): number | undefined {
    const seconds = (Date.now() - this.startedAt) / 1000;
    return this.done > 0 && seconds > 2 ? ((this.size - this.done) * seconds) / this.done : undefined;
  }

  stop(): void {
    this.#abort.abort();
  }

  async run(threshold: number): Promise<void> {
    const { id, part, file, signed } = this.job;
    const onProgress = (done: number) => (this.done = done);
    this.problem = undefined;
    this.#abort = new AbortController();
    try {
      if (file.size > threshold) {
        const parts = {
          start: () => api.startUpload(id, part),
          sign: async (wanted: number[]) => (await api.signParts(id, part, wanted)).parts,
          complete: () => api.completeUpload(id, part),
        };
        await uploadParts(parts, file, onProgress, this.#abort.signal, { onWaiting: (waiting) => (this.isWaiting = waiting) });
      } else {
        await uploadWhole(signed, file, onProgress, this.#abort.signal);
      }
      this.isComplete = true;
      forget(id);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.problem = asProblem(error);
    }
  }
}

let all: Upload[] = $state.raw([]);

export const uploads = {
  /** The upload of a campaign that is not complete. */
  of(id: string): Upload | undefined {
    return all.find((upload) => upload.job.id === id && !upload.isComplete);
  },
  /** Uploads a file. Resolves when it has arrived, failed, or was stopped. */
  async begin(job: UploadJob): Promise<void> {
    const upload = new Upload(job);
    all = [...all.filter((other) => other.job.id !== job.id || other.job.part !== job.part), upload];
    await upload.run(threshold);
  },
  async again(upload: Upload): Promise<void> {
    await upload.run(threshold);
  },
};

/** Above so many bytes, a file goes in parts. The API says how many. */
let threshold = 100 * 1024 * 1024;
export function setThreshold(bytes: number): void {
  threshold = bytes;
}

/** Signed uploads of this tab, so that a reload does not end them. They expire after an hour. */
const KEY = 'crier-upload-';

export function remember(id: string, signed: SignedUpload, file: { name: string; size: number }): void {
  try {
    sessionStorage.setItem(KEY + id, JSON.stringify({ signed, name: file.name, size: file.size }));
  } catch {
    // Then the file has to be chosen for a new campaign.
  }
}

export function recall(id: string): { signed: SignedUpload; name: string; size: number } | undefined {
  try {
    const stored = sessionStorage.getItem(KEY + id);
    return stored ? JSON.parse(stored) : undefined;
  } catch {
    return undefined;
  }
}

function forget(id: string): void {
  try {
    sessionStorage.removeItem(KEY + id);
  } catch {
    // Nothing was stored.
  }
}

/** Why a file cannot be uploaded; empty if it can. */
export function fileError(file: { name: string; size: number }, limits: Pick<Session, 'max_upload_bytes' | 'max_workbook_bytes'>): string {
  if (!/\.(csv|tsv|txt|xlsx|gz)$/i.test(file.name)) return text.draft.badType;
  if (file.size === 0) return text.draft.emptyFile;
  const most = /\.xlsx$/i.test(file.name) ? limits.max_workbook_bytes : limits.max_upload_bytes;
  return file.size > most ? text.draft.tooBig(bytes(most)) : '';
}
