import { defineConfig } from '@playwright/test';
import { findBrowser } from './tests/browser';

/** The stack that is driven: the console's address with a slash at its end. */
const baseURL = process.env['CONSOLE_URL'];

export default defineConfig({
  testDir: 'tests',
  globalSetup: './tests/global-setup.ts',
  outputDir: 'test-results',
  // One stack, whose pace and whose list of campaigns all tests share.
  workers: 1,
  fullyParallel: false,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: [['list']],
  use: {
    ...(baseURL ? { baseURL } : {}),
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    trace: 'retain-on-failure',
    launchOptions: { executablePath: findBrowser(), args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] },
  },
});
