/** What the tests of the browser share: the stack, people with roles, files, and what each screen must be. */

import AxeBuilder from '@axe-core/playwright';
import {
  expect,
  request,
  test as base,
  type APIRequestContext,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from '@playwright/test';

export const environment = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run these tests with \`cargo xtask test --only console\``);
  return value;
};

/** The API's base URL, without a slash at the end; the console is served at the same address. */
export const API = environment('CONSOLE_URL').replace(/\/$/, '');
export const SIMULATOR = environment('SIMULATOR_URL');
const ADMIN_TOKEN = environment('API_TOKEN');

export type Role = 'viewer' | 'author' | 'sender' | 'admin';

/** The API as a program uses it. */
export async function apiAs(token = ADMIN_TOKEN): Promise<APIRequestContext> {
  return request.newContext({ extraHTTPHeaders: { authorization: `Bearer ${token}` } });
}

const tokens = new Map<string, string>();

/** The token of a person, made where there is none. Names are unique: where a run before had it, it gets a suffix. */
export async function tokenOf(person: string, role: Role): Promise<string> {
  const known = tokens.get(person);
  if (known) return known;
  const api = await apiAs();
  const create = (name: string) => api.post(`${API}/v1/tokens`, { data: { name, role } });
  let answer = await create(person);
  if (answer.status() === 409 || answer.status() === 422) answer = await create(`${person} ${Date.now().toString(36)}`);
  expect(answer.status(), await answer.text()).toBe(201);
  const { token } = (await answer.json()) as { token: string };
  tokens.set(person, token);
  return token;
}

/** Signs in as an operator does. */
export async function signIn(page: Page, person: string, role: Role): Promise<void> {
  await page.goto(`${API}/`);
  await page.getByLabel('Access token').fill(await tokenOf(person, role));
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Campaigns', level: 1 })).toBeVisible();
}

/** The simulated WhatsApp. */
export async function control(path: string, data: unknown, method: 'POST' | 'PUT' = 'POST'): Promise<void> {
  const api = await request.newContext();
  const answer = await api.fetch(`${SIMULATOR}/_control/${path}`, { method, data });
  expect(answer.ok(), await answer.text()).toBe(true);
}

/** A request to the simulated WhatsApp to send a message. */
export interface Call {
  /** The id of the number that it was sent from. */
  number: string;
  to: string;
}

/** The requests to send to these phones, in their order. */
export async function callsTo(phones: string[]): Promise<Call[]> {
  const answer = await (await request.newContext()).get(`${SIMULATOR}/_control/call-log`);
  const digits = new Set(phones.map((phone) => phone.replace('+', '')));
  return ((await answer.json()) as Call[]).filter(({ to }) => digits.has(to.replace('+', '')));
}

/** A number that messages are sent from. */
export interface Sender {
  id: string;
  budget: number;
  number: { phone: string };
}

/** The two numbers of the stack, the default one first. */
export async function senders(): Promise<[Sender, Sender]> {
  const answer = await (await apiAs()).get(`${API}/v1/numbers`);
  const { numbers } = (await answer.json()) as { numbers: Sender[] };
  expect(numbers.map(({ id }) => id)).toEqual(['100000000000001', '100000000000002']);
  return numbers as [Sender, Sender];
}

/** What the content security policy had to refuse, and mistakes of scripts. */
async function watch(context: BrowserContext): Promise<string[]> {
  const faults: string[] = [];
  context.on('console', (message) => {
    // The browser logs answers such as 401 by itself, and requests that a test breaks.
    const isAnswer = /status of 4\d\d|net::ERR_FAILED/.test(message.text());
    if (message.type() === 'error' && !isAnswer) faults.push(message.text());
    if (message.text().startsWith(VIOLATION)) faults.push(message.text());
  });
  context.on('weberror', (error) => faults.push(String(error.error())));
  await context.addInitScript((prefix) => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => {
      console.info(`${prefix} ${violatedDirective} ${blockedURI} ${sample}`);
    });
  }, VIOLATION);
  return faults;
}
const VIOLATION = 'content security policy violated:';

interface Fixtures {
  /** A page of another person, in a browser context of its own. */
  open: (options?: BrowserContextOptions) => Promise<Page>;
}

/** Tests whose pages all end without a violation of the policy and without a script's mistake. */
export const test = base.extend<Fixtures>({
  context: async ({ context }, use) => {
    const faults = await watch(context);
    await use(context);
    expect(faults).toEqual([]);
  },
  open: async ({ browser, contextOptions }, use) => {
    const opened: { context: BrowserContext; faults: string[] }[] = [];
    await use(async (options = {}) => {
      const context = await newContext(browser, { ...contextOptions, ...options });
      opened.push({ context, faults: await watch(context) });
      return context.newPage();
    });
    for (const { context, faults } of opened) {
      expect(faults).toEqual([]);
      await context.close();
    }
  },
});

const newContext = (browser: Browser, options: BrowserContextOptions) =>
  browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', viewport: { width: 1280, height: 800 }, ...options });

/** No finding of axe, no overflow: what every screen must be, in light and dark, wide and at 320 px. */
export async function expectAccessible(page: Page, name: string): Promise<void> {
  const results = await new AxeBuilder({ page }).analyze();
  const findings = results.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
  expect(findings, name).toEqual([]);
}

/** Nothing is wider than the window, and no cell wider than its table. */
export async function expectNoOverflow(page: Page, name: string): Promise<void> {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow, name).toBeLessThanOrEqual(0);
  // What a card cuts off does not scroll the page.
  const cut = await page.locator('.table td').evaluateAll((cells) =>
    cells.filter((cell) => !cell.closest('.scroll') && cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent?.trim().slice(0, 60)),
  );
  expect(cut, `${name}: cells that are cut off`).toEqual([]);
}

/** Numbers of this run: Crier refuses the same message to the same people twice a day. */
const RUN = String(Math.floor(Math.random() * 1000)).padStart(3, '0');
export const phoneOf = (index: number): string => `+551198${RUN}${String(index).padStart(4, '0')}`;

/** A table of customers as people export it, from the number at `first` on; `damaged` rows have no number. */
export function customers(rows: number, { damaged = [], first = 0 }: { damaged?: number[]; first?: number } = {}): UploadedFile {
  const names = ['Ana', 'Bob', 'Carla', 'Maximiliano Hernández de la Cruz', 'Eve'];
  const lines = Array.from({ length: rows }, (_, index) => {
    const number = damaged.includes(index + 1) ? 'n/a' : phoneOf(first + index);
    return `${names[index % names.length]},${number},${20 + index} €,o${index}`;
  });
  return tableFile('customers.csv', ['Name,Phone,Amount,Order', ...lines]);
}

export interface UploadedFile {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

export const tableFile = (name: string, lines: string[]): UploadedFile => ({
  name,
  mimeType: 'text/csv',
  buffer: Buffer.from(`${lines.join('\n')}\n`),
});

/** Chooses the file of a new campaign, and waits until Crier has read it. */
export async function uploadFile(page: Page, file: UploadedFile): Promise<void> {
  await page.locator('#file').setInputFiles(file);
  const isRead = page.getByText('People who get the message');
  const isRefused = page.getByRole('alert').filter({ hasText: 'This file cannot be used' });
  await expect(isRead.or(isRefused)).toBeVisible({ timeout: 60_000 });
  await expect(isRefused).toHaveCount(0);
}

/** The same on a narrow screen, where nothing is cut off, and in the dark theme; then as before. */
export async function expectGoodElsewhere(page: Page, name: string): Promise<void> {
  const size = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 720 });
  await expectNoOverflow(page, `${name} at 320 px`);
  await picture(page, `${name}-narrow`);
  if (size) await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: 'dark' });
  await expectAccessible(page, `${name}, dark`);
  await picture(page, `${name}-dark`);
  await page.emulateMedia({ colorScheme: 'light' });
}

export const hasPictures = Boolean(process.env['PICTURES']);

/** A picture for the documentation, of the window or of the whole page. */
export async function picture(page: Page, name: string, { fullPage = false } = {}): Promise<void> {
  if (!hasPictures) return;
  await page.screenshot({ path: `${process.env['PICTURES']}/${name}.png`, animations: 'disabled', fullPage });
}
