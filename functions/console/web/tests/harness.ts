/** What the tests of the browser share: the stack, people with roles, files, and what each screen must be. */

import AxeBuilder from '@axe-core/playwright';
import { expect, type APIRequestContext, type BrowserContext, type Page, request } from '@playwright/test';

const environment = (name: string): string => {
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

/** The token of a person, made where there is none. Names are unique: each run has its own. */
export async function tokenOf(person: string, role: Role): Promise<string> {
  const known = tokens.get(person);
  if (known) return known;
  const api = await apiAs();
  const name = `${person} ${Date.now().toString(36)}`;
  const answer = await api.post(`${API}/v1/tokens`, { data: { name, role } });
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

/** Nothing that the content security policy had to refuse, and no mistake of a script. */
export function watch(context: BrowserContext): string[] {
  const faults: string[] = [];
  context.on('console', (message) => {
    const isExpected = /status of 4\d\d/.test(message.text());
    if (message.type() === 'error' && !isExpected) faults.push(message.text());
  });
  context.on('weberror', (error) => faults.push(String(error.error())));
  return faults;
}

/** No finding of axe, no overflow: what every screen must be, in light and dark, wide and at 320 px. */
export async function expectAccessible(page: Page, name: string): Promise<void> {
  const results = await new AxeBuilder({ page }).analyze();
  const findings = results.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
  expect(findings, name).toEqual([]);
}

export async function expectNoOverflow(page: Page, name: string): Promise<void> {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow, name).toBeLessThanOrEqual(0);
}

/** A table of customers as people export it; `damaged` rows have no number. */
export function customers(rows: number, damaged: number[] = [], offset = 0): Buffer {
  const names = ['Ana', 'Bob', 'Carla', 'Maximiliano Hernández de la Cruz', 'Eve'];
  const lines = Array.from({ length: rows }, (_, index) => {
    const number = damaged.includes(index + 1) ? 'n/a' : `+5511987${String(100_000 + offset + index)}`;
    return `${names[index % names.length]},${number},${20 + index} €,o${index}`;
  });
  return Buffer.from(`Name,Phone,Amount,Order\n${lines.join('\n')}\n`);
}
