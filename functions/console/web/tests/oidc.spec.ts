/** Sign-in with an identity provider, on the deployed stack: the gateway checks the tokens of `issuer.ts`. */

import { expect, request, type Page } from '@playwright/test';
import { API, environment, expectAccessible, expectGoodElsewhere, expectNoOverflow, picture, test } from './harness';
import type { Behaviour } from './issuer';

const ISSUER = environment('OIDC_ISSUER');
const ANA = { sub: 'a-1', email: 'ana@example.com', email_verified: true, groups: ['staff', 'crier-author'] };

async function behave(behaviour: Behaviour): Promise<void> {
  const answer = await (await request.newContext()).post(`${ISSUER}/test/behaviour`, { data: behaviour });
  expect(answer.ok()).toBe(true);
}

test.beforeEach(() => behave({ person: ANA }));
test.afterAll(() => behave({}));

const button = (page: Page) => page.getByRole('button', { name: 'Sign in with your organisation' });

/** Goes to the provider and comes back; the address then has no code any more. */
async function signInWithProvider(page: Page): Promise<void> {
  await button(page).click();
  await page.waitForURL((url) => !url.search && url.href.startsWith(API));
}

test('an author signs in with the provider, is where they were, and signs out', async ({ page, context }) => {
  const asked: string[] = [];
  page.on('request', (one) => asked.push(one.url()));
  await page.goto(`${API}/#/account`);
  await expect(button(page)).toBeVisible();
  // The library is no part of the first load.
  expect(asked.filter((url) => url.includes('/assets/oidc'))).toEqual([]);
  await expectAccessible(page, 'sign-in with a provider');
  await picture(page, 'sign-in');
  await expectGoodElsewhere(page, 'sign-in');
  await signInWithProvider(page);
  await expect(page.getByRole('heading', { name: 'Account', level: 1 })).toBeVisible();
  expect(page.url()).toBe(`${API}/#/account`);
  await expect(page.getByText('ana@example.com').filter({ visible: true }).first()).toBeVisible();
  await expect(page.getByText('Author', { exact: true })).toBeVisible();

  // An author prepares campaigns, and may not change the settings.
  await page.getByRole('link', { name: 'Campaigns' }).first().click();
  await expect(page.getByRole('link', { name: 'New campaign' }).first()).toBeVisible();
  await page.goto(`${API}/#/settings`);
  await expect(page.getByText('Only admins can change the settings.')).toBeVisible();
  const write = await page.evaluate(async () => (await fetch('v1/tokens', { method: 'POST', headers: { 'x-crier-console': '1' }, body: '{}' })).status);
  expect(write).toBe(403);

  // Nothing of the provider stays in the browser; the session is the same cookie as with a token.
  const stored = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));
  expect(stored).not.toMatch(/verifier|eyJ/);
  const cookie = (await context.cookies(API)).find((one) => one.name.endsWith('crier'));
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
  await page.reload();
  await expect(page.getByText('Only admins can change the settings.')).toBeVisible();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(button(page)).toBeVisible();
  await page.reload();
  await expect(button(page)).toBeVisible();
});

test('who has no role is told so, in their language', async ({ open }) => {
  await behave({ person: { ...ANA, groups: ['staff'] } });
  for (const [locale, name, told] of [
    ['en-GB', 'Sign in with your organisation', 'Your account has no role in Crier.'],
    ['es', 'Iniciar sesión con tu organización', 'Tu cuenta no tiene ningún rol en Crier.'],
    ['pt-BR', 'Entrar com a sua organização', 'Sua conta não tem papel no Crier.'],
  ] as const) {
    const page = await open({ locale });
    await page.goto(`${API}/`);
    await page.getByRole('button', { name }).click();
    await expect(page.getByRole('alert')).toContainText(told);
    expect(new URL(page.url()).search).toBe('');
    await expectAccessible(page, `no role, ${locale}`);
    await page.setViewportSize({ width: 320, height: 720 });
    await expectNoOverflow(page, `no role, ${locale}`);
    if (locale === 'en-GB') await picture(page, 'sign-in-no-role-narrow', { fullPage: true });
  }
});

test('refusals, silence and wrong answers of the provider become sentences', async ({ page }) => {
  const told = page.getByRole('alert');
  await behave({ person: null });
  await page.goto(`${API}/`);
  await button(page).click();
  await expect(told).toContainText('did not let you in, or you cancelled');

  // An answer and a token for another sign-in, such as one that somebody else began; a token that the gateway refuses.
  for (const [wrong, sentence] of [
    [{ state: 'another' }, 'gave an answer that Crier cannot use'],
    [{ nonce: 'another' }, 'gave an answer that Crier cannot use'],
    [{ audience: 'another' }, 'gave an answer that Crier cannot use'],
    [{ isForged: true }, 'Crier does not accept this sign-in'],
    [{ person: { ...ANA, email_verified: false } }, 'does not say who you are, or has not verified it'],
  ] as const) {
    await behave({ person: ANA, ...wrong });
    await button(page).click();
    await expect(told).toContainText(sentence);
    await expect(button(page)).toBeVisible();
  }

  // An answer that was not asked for in this tab.
  await page.goto(`${API}/?code=stolen&state=guessed#/account`);
  await expect(told).toContainText('begun in another tab');
  expect(page.url()).toBe(`${API}/#/account`);
  await page.evaluate(() => sessionStorage.setItem('crier-sign-in', JSON.stringify({ provider: { issuer: 'x', client_id: 'y' } })));
  await page.goto(`${API}/?code=stolen&state=guessed`);
  await expect(told).toContainText('begun in another tab');

  // The provider does not answer, on the way to it.
  await page.route(`${ISSUER}/**`, (route) => route.abort());
  await button(page).click();
  await expect(told).toContainText('does not answer');
  await expect(page.getByLabel('Access token')).toBeVisible();
});

test('the gateway refuses tokens for others, with another signature, and expired ones', async () => {
  const exchange = async (behaviour: Behaviour, headers: Record<string, string> = { 'x-crier-console': '1' }) => {
    await behave(behaviour);
    const context = await request.newContext();
    const { token } = (await (await context.get(`${ISSUER}/test/token`)).json()) as { token: string };
    return context.post(`${API}/v1/session/oidc`, { headers: { authorization: `Bearer ${token}`, ...headers } });
  };
  expect((await exchange({ person: ANA, audience: 'another-client' })).status()).toBe(401);
  expect((await exchange({ person: ANA, isForged: true })).status()).toBe(401);
  expect((await exchange({ person: ANA, lifetime: -10 })).status()).toBe(401);
  expect((await exchange({ person: ANA }, {})).status()).toBe(403);
  expect((await exchange({ person: { ...ANA, groups: [] } })).status()).toBe(403);
  const right = await exchange({ person: ANA });
  expect(right.status(), await right.text()).toBe(201);
  expect(await right.json()).toMatchObject({ name: 'ana@example.com', role: 'author' });
  // Other routes take no token of the provider.
  await behave({ person: { ...ANA, groups: ['crier-admin'] } });
  const context = await request.newContext();
  const { token } = (await (await context.get(`${ISSUER}/test/token`)).json()) as { token: string };
  const other = await context.get(`${API}/v1/campaigns`, { headers: { authorization: `Bearer ${token}` } });
  expect(other.status()).toBe(401);
});
