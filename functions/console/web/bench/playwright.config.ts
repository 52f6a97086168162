/** Benchmarks of the page, on a deployed stack: `cargo xtask bench --only console`. */

import { defineConfig } from '@playwright/test';
import tests from '../playwright.config';

export default defineConfig({ ...tests, testDir: '.', globalSetup: [], outputDir: '../test-results', timeout: 900_000, use: { ...tests.use, trace: 'off' } });
