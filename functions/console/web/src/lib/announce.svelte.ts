/** Short messages at the edge of the screen, which screen readers read out. */

export interface Notice {
  id: number;
  text: string;
  tone: 'good' | 'bad';
}

/** How long a notice stays. Failures stay until they are closed. */
const SHOWN_MS = 6000;

let notices: Notice[] = $state.raw([]);
let last = 0;

export const announcer = {
  get notices() {
    return notices;
  },
  say(text: string, tone: Notice['tone'] = 'good'): void {
    last += 1;
    const id = last;
    notices = [...notices.slice(-2), { id, text, tone }];
    if (tone === 'good') setTimeout(() => announcer.close(id), SHOWN_MS);
  },
  close(id: number): void {
    notices = notices.filter((notice) => notice.id !== id);
  },
};
