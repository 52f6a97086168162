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
      forget(id, part);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.problem = asProblem(error);
    }
  }
}

let all: Upload[] = $state.raw([]);

export const uploads = {
  /** The uploads of a campaign that are not complete. */
  of(id: string): Upload[] {
    return all.filter((upload) => upload.job.id === id && !upload.isComplete);
  },
  /** Uploads a file. Resolves when it has arrived, failed, or was stopped. */
  async begin(job: UploadJob): Promise<void> {
    remember(job);
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

/** Uploads of this tab that are not complete, with their signatures, so that a reload does not end them. */
const keyOf = (id: string, part: UploadJob['part']) => `crier-upload-${id}-${part}`;

interface RememberedUpload {
  signed: SignedUpload;
  name: string;
  size: number;
}

function remember({ id, part, file, signed }: UploadJob): void {
  const remembered: RememberedUpload = { signed, name: file.name, size: file.size };
  try {
    sessionStorage.setItem(keyOf(id, part), JSON.stringify(remembered));
  } catch {
    // Then the file has to be chosen for a new campaign.
  }
}

export function recall(id: string, part: UploadJob['part']): RememberedUpload | undefined {
  try {
    const stored = sessionStorage.getItem(keyOf(id, part));
    return stored ? JSON.parse(stored) : undefined;
  } catch {
    return undefined;
  }
}

function forget(id: string, part: UploadJob['part']): void {
  try {
    sessionStorage.removeItem(keyOf(id, part));
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
