/** What the page costs: bytes, time, delay, memory. Each prints its figures; none is asserted, because machines differ. */

import { expect, type Browser, type BrowserContext, type CDPSession, type Page } from '@playwright/test';
import { API, apiAs, customers, signIn, test, uploadFile } from '../tests/harness';

/** Rows of the campaign that is watched; the stack sends 40 a second. */
const ROWS = 1600;
const API_POLL_MS = 100;
const LOADS = 5;

/** A phone's connection, and a processor a quarter as fast. */
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8 };
const CPU_SLOWDOWN = 4;

const print = (line: string) => console.log(`  ${line}`);
const sorted = (values: number[]) => [...values].sort((one, other) => one - other);
const quantile = (values: number[], share: number) => sorted(values)[Math.min(values.length - 1, Math.ceil(share * values.length) - 1)] ?? NaN;
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

interface Watched {
  id: string;
  json: Record<string, Record<string, unknown>>;
}
let watched: Watched | undefined;

/** A campaign of the API, as far as it is needed here. */
async function readCampaign(id: string): Promise<Watched['json']> {
  return (await (await (await apiAs()).get(`${API}/v1/campaigns/${id}`)).json()) as Watched['json'];
}

test('first load', async ({ open }) => {
  const page = await open();
  const sizes: { url: string; bytes: number; encoding: string }[] = [];
  page.on('requestfinished', async (request) => {
    const [{ responseBodySize }, response] = await Promise.all([request.sizes(), request.response()]);
    sizes.push({ url: request.url(), bytes: responseBodySize, encoding: (await response?.allHeaders())?.['content-encoding'] ?? '' });
  });
  await page.goto(`${API}/`);
  await expect(page.locator('#token')).toBeVisible();
  await page.waitForLoadState('networkidle');
  const files = sizes.filter(({ encoding }) => encoding === 'br');
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  print(`first load: ${bytes} bytes of brotli in ${files.length} files, ${sizes.length} requests in all: ${sizes.map(({ url }) => new URL(url).pathname.split('/').slice(-2).join('/')).join(', ')}`);
});

test('delay of a sending campaign', async ({ page }) => {
  await signIn(page, 'Samuel', 'sender');
  await page.goto(`${API}/#/campaigns/new?template=order_update&language=en`);
  await uploadFile(page, customers(ROWS));
  await page.getByRole('button', { name: /^Send [\d,]+ messages$/ }).click();
  const figure = page.locator('.figure', { hasText: 'Accepted' }).first();
  await expect(figure).toBeVisible();
  const id = new URL(page.url()).hash.split('/')[2] ?? '';
  // When the screen showed which number.
  await page.evaluate(() => {
    const shown: [number, number][] = [];
    Object.assign(window, { shown });
    const look = () => {
      const text = [...document.querySelectorAll('.figure')].find((one) => one.querySelector('dt')?.textContent === 'Accepted')?.querySelector('dd')?.textContent ?? '';
      const number = Number(text.replace(/\D/g, '') || 'none');
      if (!Number.isNaN(number) && shown.at(-1)?.[1] !== number) shown.push([Date.now(), number]);
      requestAnimationFrame(look);
    };
    look();
  });
  const api = await apiAs();
  const changes: [number, number][] = [];
  let json = await readCampaign(id);
  for (let last = Infinity; json['state'] as unknown !== 'finished'; ) {
    const began = Date.now();
    json = (await (await api.get(`${API}/v1/campaigns/${id}`)).json()) as Watched['json'];
    const accepted = Number(json['rows']?.['accepted']);
    if (accepted > last) changes.push([Date.now(), accepted]);
    if (json['state'] as unknown === 'sending') watched = { id, json };
    last = accepted;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, began + API_POLL_MS - Date.now())));
  }
  await page.waitForTimeout(12_000);
  const shown = await page.evaluate(() => (window as unknown as { shown: [number, number][] }).shown);
  const delays = changes.flatMap(([at, accepted]) => {
    const seen = shown.find(([, number]) => number >= accepted);
    return seen ? [Math.max(0, seen[0] - at)] : [];
  });
  print(`delay from the API to the screen: p50 ${seconds(quantile(delays, 0.5))}, p95 ${seconds(quantile(delays, 0.95))}, longest ${seconds(Math.max(...delays))}, of ${changes.length} changes, ${changes.length - delays.length} never shown`);
});

/** A session that takes what its page takes on a slow phone. */
async function throttle(page: Page): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', NETWORK);
  await session.send('Emulation.setCPUThrottlingRate', { rate: CPU_SLOWDOWN });
  return session;
}

/** Milliseconds from the navigation until `selector` is there and the page answers again. */
async function load(page: Page, address: string, selector: string): Promise<number> {
  await page.goto('about:blank');
  await page.goto(address, { waitUntil: 'commit' });
  const ready = await page.waitForFunction((wanted) => {
    return document.querySelector(wanted) && new Promise<number>((resolve) => setTimeout(() => resolve(performance.now())));
  }, selector);
  return ready.jsonValue() as Promise<number>;
}

async function measureLoads(browser: Browser, name: string, state: Awaited<ReturnType<BrowserContext['storageState']>>, address: string, selector: string): Promise<void> {
  const [cold, warm]: [number[], number[]] = [[], []];
  for (let count = 0; count < LOADS; count += 1) {
    // A context has a cache of its own.
    const context = await browser.newContext({ storageState: state, locale: 'en-GB' });
    const page = await context.newPage();
    await throttle(page);
    cold.push(await load(page, address, selector));
    warm.push(await load(page, address, selector));
    await context.close();
  }
  print(`${name}, 1.6 Mbit/s, 150 ms, CPU ${CPU_SLOWDOWN}×: cold ${seconds(quantile(cold, 0.5))}, warm ${seconds(quantile(warm, 0.5))} (medians of ${LOADS})`);
}

test('time to interactive', async ({ page, browser }) => {
  await measureLoads(browser, 'sign-in form', { cookies: [], origins: [] }, `${API}/`, '#token');
  await signIn(page, 'Samuel', 'sender');
  const state = await page.context().storageState();
  await measureLoads(browser, 'list of campaigns', state, `${API}/#/campaigns`, 'main a[href^="#/campaigns/0"]');
  if (watched) await measureLoads(browser, 'a campaign', state, `${API}/#/campaigns/${watched.id}`, '.figure dd');
});

/** Bytes on the heap of the page once nothing unused is on it. */
async function heap(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage');
  await session.send('HeapProfiler.collectGarbage');
  return (await session.send('Runtime.getHeapUsage')).usedSize;
}

test('memory of a page that stays open', async ({ page }) => {
  if (!watched) throw new Error('no campaign was seen sending');
  const { id, json } = watched;
  await page.clock.install({ time: new Date() });
  await signIn(page, 'Samuel', 'sender');
  const began = Date.now();
  const rows = 1_000_000;
  let asked = 0;
  // Numbers that grow as those of a campaign that sends 80 a second.
  const at = () => 100_000 + asked * 160;
  await page.route(`**/v1/campaigns/${id}`, (route) => {
    asked += 1;
    const [accepted, delivered, read] = [at(), Math.floor(at() * 0.9), Math.floor(at() * 0.6)];
    const counts = { total: rows, enqueued: rows, rejected_at_import: 0, duplicates: 0, suppressed: 0, claimed: 80, accepted, waiting: rows - accepted - 80, retry: 0, held: 0, rejected: 0, unconfirmed: 0, skipped: 0 };
    const sending = { ...json['sending'], rate: 79 + Math.random(), attempts: accepted, budget: 80 };
    return route.fulfill({
      json: { ...json, state: 'sending', rows: { ...json['rows'], ...counts }, sending, delivery: { ...json['delivery'], sent: accepted, delivered, read, undelivered: 0 }, remaining_seconds: Math.floor((rows - accepted) / 80) },
    });
  });
  await page.route(`**/v1/campaigns/${id}/timeline`, (route) => {
    // As many points as the API ever gives: those of a campaign that began long ago.
    const now = began + asked * 2000;
    const time = (ms: number) => new Date(ms).toISOString();
    const recent = Array.from({ length: 60 }, (_, index) => ({ at: time(now - (60 - index) * 5000), attempts: 380 + Math.floor(Math.random() * 20), complete: index < 59 }));
    const history = Array.from({ length: 60 }, (_, index) => ({ at: time(now - (60 - index) * 120_000), attempts: 9_600, delivered: 9_000 + asked, read: 6_000 + asked }));
    return route.fulfill({
      json: { now: time(now), budget: 80, recent: { bucket_seconds: 5, points: recent }, history: { bucket_seconds: 120, points: history }, first_attempt_at: time(began - 7_200_000), last_attempt_at: time(now), estimated_end: time(now + 10_000_000), remaining_seconds: 10_000 },
    });
  });
  await page.goto(`${API}/#/campaigns/${id}`);
  await expect(page.getByText('1,000,000 rows in the file')).toBeVisible();
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.enable');
  const sizes: [minute: number, bytes: number][] = [];
  for (let second = 0; second <= 3600; second += 2) {
    if ([600, 1200, 2400, 3600].includes(second)) sizes.push([second / 60, await heap(session)]);
    const before = asked;
    await page.clock.runFor(2000);
    // The next question is due two seconds after the answer: real time passes meanwhile.
    for (let tries = 0; asked === before && tries < 20; tries += 1) await new Promise((resolve) => setTimeout(resolve, 5));
    await page.evaluate(() => document.title);
  }
  const of = (minute: number) => sizes.find(([known]) => known === minute)?.[1] ?? NaN;
  // In the first minutes the engine still compiles what runs often; that is machine code on the heap, and ends.
  const growth = (from: number) => `${from} to 60 min ${((of(60) / of(from) - 1) * 100).toFixed(1)} %`;
  print(`heap of a page on 1,000,000 rows, an hour of virtual time, ${asked} polls: ${sizes.map(([minute, bytes]) => `${(bytes / 1e6).toFixed(2)} MB at ${minute} min`).join(', ')}; growth ${growth(10)}, ${growth(20)}`);
});
