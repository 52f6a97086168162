/** Attacks on the console and its session, as another site, another person or a recipient can try them. */

import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, type Page } from '@playwright/test';
import { API, apiAs, phoneOf, signIn, tableFile, test, tokenOf, uploadFile } from './harness';

/** Pages of an attacker, on another port of `host`. */
async function attacker(host: 'localhost' | '127.0.0.1', pages: Record<string, string>): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    const page = pages[request.url ?? ''];
    response.writeHead(page ? 200 : 404, { 'content-type': 'text/html' }).end(page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://${host}:${port}`, close: () => server.close() };
}

test('the page forbids inline scripts, other hosts and frames', async ({ request }) => {
  for (const path of ['/', '/assets/none.js']) {
    const headers = (await request.get(`${API}${path}`)).headers();
    const policy = headers['content-security-policy'] ?? '';
    for (const directive of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"]) {
      expect(policy).toContain(directive);
    }
    expect(policy).not.toMatch(/unsafe|\*|data:/);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  }
});

test('scripts cannot read the session, and it ends with its sign-out', async ({ page, context }) => {
  const answered = page.waitForResponse((response) => response.request().method() === 'POST' && response.url().endsWith('/v1/session'));
  await signIn(page, 'Maria', 'admin');
  const cookie = (await context.cookies()).find((one) => one.name.endsWith('crier'));
  // Over HTTP, as on this machine, the cookie has neither its prefix nor `Secure`; `session_cookie.rs` tests the deployed one.
  const isDeployed = API.startsWith('https:');
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/', secure: isDeployed, name: isDeployed ? '__Host-crier' : 'crier' });
  expect((await (await answered).allHeaders())['set-cookie']).not.toMatch(/domain=/i);
  expect(await page.evaluate(() => document.cookie)).toBe('');
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  expect(stored).not.toContain('crier_');
  expect(stored).not.toContain(cookie?.value);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  const again = await page.request.get(`${API}/v1/session`, { headers: { cookie: `${cookie?.name}=${cookie?.value}`, 'x-crier-console': '1' } });
  expect(again.status()).toBe(401);
});

test('a write needs the header of the console', async ({ page }) => {
  await signIn(page, 'Maria', 'admin');
  const write = (method: string, path: string, headers: Record<string, string>) =>
    page.evaluate(
      async ([method, path, headers]) => {
        const answer = await fetch(new URL(path, document.baseURI), { method, headers, body: method === 'DELETE' ? null : '{}' });
        return answer.status;
      },
      [method, path, headers] as const,
    );
  for (const [method, path] of [
    ['POST', 'v1/tokens'],
    ['POST', 'v1/campaigns'],
    ['PUT', 'v1/settings'],
    ['DELETE', `v1/contacts/${phoneOf(1)}`],
    ['DELETE', 'v1/session'],
  ] as const) {
    expect(await write(method, path, { 'content-type': 'text/plain' }), `${method} ${path}`).toBe(403);
    expect(await write(method, path, { 'x-crier-console': '0' }), `${method} ${path}`).toBe(403);
  }
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Campaigns', level: 1 })).toBeVisible();
});

test('pages of other origins can neither write nor read', async ({ open }) => {
  const page = await open();
  await signIn(page, 'Maria', 'admin');
  const form = (path: string) => `<form method="post" enctype="text/plain" action="${API}${path}"><input name='{"name":"evil","role":"admin","x":"' value='"}'></form>`;
  // Another port of the same host is another origin, but the same site: the browser sends it the cookie.
  for (const host of ['localhost', '127.0.0.1'] as const) {
    const site = await attacker(host, { '/': '<h1>Evil</h1>', '/form': form('/v1/tokens') });
    try {
      const evil = await page.context().browser()!.newContext({ storageState: await page.context().storageState() });
      const other = await evil.newPage();
      await other.goto(`${site.url}/form`);
      const answered = other.waitForResponse(`${API}/v1/tokens`);
      await other.evaluate(() => document.querySelector('form')?.submit());
      expect((await answered).status(), host).toBe(host === 'localhost' ? 401 : 403);
      const reader = await evil.newPage();
      await reader.goto(`${site.url}/`);
      const tries = await reader.evaluate(async (api) => {
        const read = (options: RequestInit) => fetch(`${api}/v1/session`, { credentials: 'include', ...options }).then(() => 'read', () => 'refused');
        return Promise.all([read({}), read({ headers: { 'x-crier-console': '1' } }), read({ method: 'DELETE', headers: { 'x-crier-console': '1' } })]);
      }, API);
      expect(tries, host).toEqual(['refused', 'refused', 'refused']);
      await evil.close();
    } finally {
      site.close();
    }
  }
  const names = ((await (await (await apiAs()).get(`${API}/v1/tokens`)).json()) as { tokens: { name: string }[] }).tokens.map((one) => one.name);
  expect(names).not.toContain('evil');
});

test('no page can put the console into a frame', async ({ browser }) => {
  const site = await attacker('127.0.0.1', { '/': `<iframe src="${API}/"></iframe><object data="${API}/"></object><embed src="${API}/">` });
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const refused: string[] = [];
    page.on('console', (message) => /frame-ancestors/.test(message.text()) && refused.push(message.text()));
    await page.goto(site.url);
    await expect.poll(() => refused.length).toBeGreaterThanOrEqual(1);
    for (const frame of page.frames().slice(1)) await expect(frame.locator('#app')).toHaveCount(0);
  } finally {
    await context.close();
    site.close();
  }
});

test('no address leads to another site', async ({ page }) => {
  const left: string[] = [];
  page.on('request', (request) => !request.url().startsWith(API) && left.push(request.url()));
  const evil = ['#//evil.example', '#/\\evil.example', '#https://evil.example', '#/https:%2F%2Fevil.example', '#javascript:window.hacked=1', '#/campaigns?next=//evil.example'];
  const addresses = [...evil, '?next=https://evil.example', '?return_to=//evil.example#/campaigns', '#/campaigns/..%2F..%2Fevil', '#/people/..%2F..%2Ftokens'];
  await page.goto(`${API}/?next=https://evil.example#//evil.example`);
  await page.getByLabel('Access token').fill(await tokenOf('Maria', 'admin'));
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('button', { name: 'Sign out' })).toBeVisible();
  for (const address of addresses) {
    await page.goto(`${API}/${address}`);
    await expect(page.getByRole('button', { name: 'Sign out' })).toBeVisible();
    await expect(page.locator('main h1, main h2, main [role=alert]').first()).toBeVisible();
    expect(page.url().startsWith(`${API}/`), address).toBe(true);
    const links = await page.locator('a').evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href));
    expect(links.filter((link) => !link.startsWith(API)), address).toEqual([]);
  }
  expect(left).toEqual([]);
});

const MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{@html 1}';

/** The markup is on the screen as text, and nothing of it became an element or ran. */
async function expectHarmless(page: Page, where: string, shown = MARKUP): Promise<void> {
  await expect(page.getByText(shown).filter({ visible: true }).first(), where).toBeVisible();
  await expect(page.locator('img[src="x"]'), where).toHaveCount(0);
  expect(await page.evaluate(() => 'hacked' in window), where).toBe(false);
}

test('texts of files, people and colleagues stay texts', async ({ page }) => {
  const admin = await apiAs();
  const settings = (await (await admin.get(`${API}/v1/settings`)).json()) as Record<string, unknown>;
  await signIn(page, 'Maria', 'admin');

  // A campaign's name, its file's name, the names of its columns, its cells, its rows with a mistake.
  await page.goto(`${API}/#/campaigns/new?template=order_update&language=en`);
  await page.getByLabel('Name of the campaign').fill(MARKUP);
  const column = '<img src=x onerror=window.hacked=1>';
  const file = `${column}.csv`;
  const cell = `"${MARKUP.replaceAll('"', '""')}"`;
  const rows = [`Name,Phone,Amount,Order,${column}`, `${cell},${phoneOf(9000)},1,2,3`, `${cell},${column},1,2,3`];
  await uploadFile(page, tableFile(file, rows));
  await expectHarmless(page, 'the name of a campaign');
  await expectHarmless(page, 'the name of a file', file);
  await expect(page.getByRole('group', { name: 'Message', exact: true })).toContainText(MARKUP);
  await page.getByRole('button', { name: 'Send 1 message' }).click();
  await expect(page.getByRole('heading', { name: 'Every row of the file' })).toBeVisible();
  const campaign = page.url();
  for (const tab of ['', '/failures', '/person', '/results', '/history']) {
    await page.goto(`${campaign}${tab}`);
    await expectHarmless(page, `a campaign${tab}`);
  }
  await page.goto(`${API}/#/campaigns`);
  await expectHarmless(page, 'the list of campaigns');

  // A recipient's name and message.
  const from = phoneOf(9001);
  const wrote = await receive({ from, name: MARKUP, text: `Hello ${MARKUP}` });
  expect(wrote).toBe(200);
  await page.goto(`${API}/#/inbox`);
  await expectHarmless(page, 'the list of conversations');
  await page.goto(`${API}/#/inbox/${encodeURIComponent(from)}`);
  await expectHarmless(page, 'a message', `Hello ${MARKUP}`);
  await page.getByLabel('Your reply').fill(`Reply ${MARKUP}`);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await expectHarmless(page, 'a reply', `Reply ${MARKUP}`);

  // A person's record: the reason of a suppression.
  const suppressed = await admin.put(`${API}/v1/contacts/${from}`, { data: { suppressed: true, reason: MARKUP } });
  expect(suppressed.status()).toBe(200);
  await page.goto(`${API}/#/people/${encodeURIComponent(from)}`);
  await expectHarmless(page, 'a person');
  await page.goto(`${API}/#/people/${encodeURIComponent(MARKUP)}`);
  await expect(page.locator('img[src="x"]')).toHaveCount(0);

  // What colleagues wrote: settings, the name of a token.
  const name = MARKUP.slice(0, 60);
  const changed = {
    ...settings,
    test_numbers: [{ name, phone: phoneOf(9002) }],
    replies: [{ keywords: ['markup'], message: { type: 'text', text: { body: MARKUP } } }],
  };
  try {
    const stored = await admin.put(`${API}/v1/settings`, { data: changed });
    expect(stored.status(), await stored.text()).toBe(200);
    for (const [screen, value] of [['sending', name], ['replies', MARKUP]] as const) {
      await page.goto(`${API}/#/settings/${screen}`);
      await page.reload();
      const values = () => page.locator('textarea, input').evaluateAll((all) => all.map((one) => (one as HTMLInputElement).value));
      await expect.poll(values).toContain(value);
      await expect(page.locator('img[src="x"]')).toHaveCount(0);
    }
    const made = await admin.post(`${API}/v1/tokens`, { data: { name, role: 'viewer' } });
    // Names have no markup; if that changes, it must stay text.
    if (made.ok()) {
      await page.goto(`${API}/#/settings/tokens`);
      await expectHarmless(page, 'the name of a token', name);
      await admin.delete(`${API}/v1/tokens/${((await made.json()) as { id: string }).id}`);
    }
    await page.goto(`${API}/#/settings/audit`);
    await expect(page.getByRole('table')).toBeVisible();
    await expect(page.locator('img[src="x"]')).toHaveCount(0);
  } finally {
    await admin.put(`${API}/v1/settings`, { data: settings });
  }
  expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
});

test('the text of a template stays text, and its links lead nowhere', async ({ page }) => {
  await page.route('**/v1/templates*', async (route) => {
    const answer = await route.fetch();
    const list = (await answer.json()) as { templates: Record<string, unknown>[] };
    const preview = {
      header: { format: 'TEXT', text: MARKUP },
      body: `*${MARKUP}* {{1}}`,
      footer: MARKUP,
      buttons: [{ type: 'URL', text: MARKUP, url: 'javascript:window.hacked=1' }],
    };
    const evil = { ...list.templates.find((one) => one['name'] === 'order_update'), name: 'evil', preview };
    await route.fulfill({ response: answer, json: { ...list, templates: [evil, ...list.templates] } });
  });
  await signIn(page, 'Maria', 'admin');
  for (const address of ['#/campaigns/new', '#/campaigns/new?template=evil&language=en', '#/account']) {
    await page.goto(`${API}/${address}`);
    await expect(page.getByText('<script>window.hacked=1</script>').filter({ visible: true }).first(), address).toBeVisible();
    await expect(page.locator('img[src="x"]'), address).toHaveCount(0);
    await expect(page.locator('a[href^="javascript:"]'), address).toHaveCount(0);
  }
  expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
});

/** A message of a recipient, as Meta posts it: signed, with the name of the profile. */
async function receive({ from, name, text }: { from: string; name: string; text: string }): Promise<number> {
  const number = from.slice(1);
  const message = { from: number, id: `wamid.${Date.now()}`, timestamp: String(Math.floor(Date.now() / 1000)), type: 'text', text: { body: text } };
  const value = {
    messaging_product: 'whatsapp',
    metadata: { display_phone_number: '15550000001', phone_number_id: '100000000000001' },
    contacts: [{ profile: { name }, wa_id: number }],
    messages: [message],
  };
  const body = JSON.stringify({ object: 'whatsapp_business_account', entry: [{ id: '200000000000001', changes: [{ field: 'messages', value }] }] });
  const signature = createHmac('sha256', 'simulated-app-secret').update(body).digest('hex');
  const answer = await fetch(`${API}/webhook`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-hub-signature-256': `sha256=${signature}` },
    body,
  });
  return answer.status;
}
