/** Finds the Chromium that drives the tests: none is downloaded. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from '@playwright/test';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'microsoft-edge-stable', 'brave-browser'];
const MAC_APPS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
];

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function findBrowser(): string {
  const { CRIER_BROWSER, CHROME_BIN, PATH = '' } = process.env;
  const onPath = NAMES.flatMap((name) => PATH.split(delimiter).map((folder) => join(folder, name)));
  const candidates = [CRIER_BROWSER, CHROME_BIN, ...onPath, ...MAC_APPS, chromium.executablePath()];
  const found = candidates.find((path): path is string => Boolean(path) && isProgram(path ?? ''));
  if (!found) {
    throw new Error('The tests of the console need a Chromium: install one (Debian: apt-get install chromium), or name it in CRIER_BROWSER.');
  }
  return found;
}
