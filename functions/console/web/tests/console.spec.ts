/** The way of an operator through the console, on the deployed stack. */

import { readFile } from 'node:fs/promises';
import { expect, type Page } from '@playwright/test';
import { API, apiAs, control, customers, expectAccessible, expectGoodElsewhere, hasPictures, phoneOf, picture, signIn, tableFile, test, tokenOf, uploadFile } from './harness';

test('a wrong token is refused with what to do, and the right one signs in', async ({ page, context }) => {
  await page.goto(`${API}/`);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('alert')).toContainText('Enter your access token');
  await expect(page).toHaveTitle(/^Error: /);
  await page.getByLabel('Access token').fill('crier_wrong');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(page.getByRole('alert')).toContainText('This token is not known');
  await expectAccessible(page, 'sign-in with an error');
  await signIn(page, 'Maria', 'admin');
  const cookie = (await context.cookies()).find((one) => one.name.endsWith('crier'));
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
  expect(await page.evaluate(() => document.cookie)).toBe('');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
});

test('a campaign from a damaged file to its results', async ({ page }) => {
  await signIn(page, 'Samuel', 'sender');
  await page.getByRole('link', { name: 'New campaign' }).first().click();
  await page.getByLabel('Name of the campaign').fill('Orders of today');
  await page.getByRole('button', { name: /order_update/ }).click();
  await expect(page).toHaveURL(/template=order_update/);
  await uploadFile(page, customers(400, { damaged: [4, 9] }));

  // Check: the numbers of the file, and what is wrong with it.
  const address = page.url();
  await expect(page.getByText('This is not a phone number.')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Send 398 messages' })).toBeVisible();
  const preview = page.getByRole('region', { name: 'Filled with the values of a row' });
  await expect(preview).toContainText('Ana');
  await preview.getByRole('button', { name: 'Longest' }).click();
  await expect(preview).toContainText('Maximiliano');
  await preview.press('ArrowRight');
  await expect(preview).toContainText('Eve');
  await expectAccessible(page, 'new campaign');
  await picture(page, 'new-campaign');

  // The address lives through a reload.
  await page.reload();
  await expect(page.getByRole('button', { name: 'Send 398 messages' })).toBeVisible();
  expect(page.url()).toBe(address);

  // The damaged rows come back, are corrected, and are added.
  const waiting = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download these rows' }).click();
  const download = await waiting;
  const rejects = await readFile(await download.path(), 'utf8');
  expect(rejects.split('\n').filter((line) => line.includes('n/a'))).toHaveLength(2);
  // A test to a number of one's own.
  await page.getByLabel(/Number with country code|Another number/).fill('+55 11 91234 5678');
  await page.getByRole('button', { name: 'Send 1 test' }).click();
  await expect(page.getByText(/\+55 11 91234 5678: (accepted by WhatsApp|delivered|read)/)).toBeVisible({ timeout: 60_000 });

  // Start, pause while it sends, resume.
  await page.getByRole('button', { name: 'Send 398 messages' }).click();
  await expect(page.getByRole('heading', { name: 'Every row of the file' })).toBeVisible();
  if (hasPictures) {
    await expect(page.getByText('Delivered, not read')).toBeVisible();
    await expect(page.getByText(/^[1-9][\d.]* a second now/)).toBeVisible();
    await picture(page, 'campaign-sending');
  }
  await page.getByRole('button', { name: 'Pause' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('nothing is lost');
  await dialog.getByRole('button', { name: 'Pause now' }).click();
  await expect(page.getByText('Paused by an operator')).toBeVisible();
  await picture(page, 'campaign-paused');
  await page.getByRole('button', { name: 'Resume' }).click();
  await dialog.getByRole('button', { name: /^Resume \d+ messages?$/ }).click();
  await expect(page.getByText('Finished', { exact: true }).first()).toBeVisible({ timeout: 90_000 });
  await expect(page.getByText('400 rows in the file, each in exactly one state')).toBeVisible();
  await expectAccessible(page, 'campaign');
  await picture(page, 'campaign-finished');

  // The damaged rows, corrected and added: only they are messaged.
  let next = 500;
  const corrected = rejects.replace(/n\/a/g, () => phoneOf((next += 1)));
  await page.getByRole('link', { name: 'Failures' }).click();
  await page.locator('#corrected').setInputFiles({ name: 'corrected.csv', mimeType: 'text/csv', buffer: Buffer.from(corrected) });
  await page.getByRole('link', { name: 'Progress' }).click();
  await expect(page.getByText('402 rows in the file, each in exactly one state')).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText('Finished', { exact: true }).first()).toBeVisible({ timeout: 60_000 });

  // One person's message, and the results.
  await page.getByRole('link', { name: 'One person' }).click();
  await page.getByLabel('Number with country code').fill(phoneOf(0));
  await page.getByRole('button', { name: 'Find' }).click();
  await expect(page.getByText('Row 1 of the file')).toBeVisible();
  await picture(page, 'campaign-person');
  await page.getByRole('link', { name: 'Results' }).click();
  await page.getByRole('button', { name: 'Make the file' }).click();
  await expect(page.getByRole('link', { name: /Download (the )?results/ }).first()).toBeVisible({ timeout: 60_000 });
  await expectAccessible(page, 'results');
  await picture(page, 'campaign-results');
});

test('people wait for the hours of a campaign', async ({ page }) => {
  await signIn(page, 'Samuel', 'sender');
  await page.getByRole('link', { name: 'New campaign' }).first().click();
  await page.getByLabel('Name of the campaign').fill('By day only');
  await page.getByRole('button', { name: /order_update/ }).click();
  await uploadFile(page, customers(20, { first: 8_000 }));
  await page.getByRole('button', { name: /^Change ?: Sending$/ }).click();
  await page.getByLabel('Send only at certain hours').check();

  // What is wrong is said where it is.
  const days = page.getByRole('group', { name: 'On these days' }).getByRole('checkbox');
  await expect(days).toHaveCount(7);
  for (const day of await days.all()) await day.uncheck();
  await page.getByLabel('From', { exact: true }).fill('09:00');
  await page.getByLabel('To', { exact: true }).fill('09:00');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  const problems = page.getByRole('alert');
  await expect(problems).toContainText('Choose a time other than the first');
  await expectAccessible(page, 'hours with errors');
  await problems.getByRole('link', { name: 'Choose one day at least' }).click();
  await expect(days.first()).toBeFocused();

  // In two hours, on the clock of the browser's zone.
  for (const day of await days.all()) await day.check();
  const [from, to] = [2, 3].map((hours) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16)) as [string, string];
  await page.getByLabel('From', { exact: true }).fill(from);
  await page.getByLabel('To', { exact: true }).fill(to);
  await page.getByLabel('One time zone for everybody').check();
  await expect(page.getByLabel('Time zone', { exact: true })).toHaveValue('UTC');
  await expectGoodElsewhere(page, 'new-campaign-hours');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByText(`only ${from}–${to}, UTC`)).toBeVisible();

  await page.getByRole('button', { name: 'Send 20 messages' }).click();
  await expect(page.getByText(/^Outside the sending hours. The next messages leave on /)).toBeVisible({ timeout: 60_000 });
  await expectAccessible(page, 'campaign outside its hours');
  await picture(page, 'campaign-hours');
});

test('one person is found in this very campaign, and rows that were not used say why', async ({ page, open }) => {
  const [twice, excluded, later] = [phoneOf(5100), phoneOf(5101), phoneOf(5102)];
  const sendRows = async (tab: Page, rows: string[], messages: number) => {
    await tab.goto(`${API}/#/campaigns/new?template=order_update&language=en`);
    await tab.reload();
    await uploadFile(tab, tableFile('people.csv', ['Name,Phone,Amount,Order', ...rows]));
    await tab.getByRole('button', { name: `Send ${messages} message${messages === 1 ? '' : 's'}` }).click();
    await expect(tab.getByText('Finished', { exact: true }).first()).toBeVisible({ timeout: 60_000 });
    return tab.url();
  };
  await (await apiAs()).put(`${API}/v1/contacts/${excluded}`, { data: { suppressed: true } });
  await signIn(page, 'Samuel', 'sender');
  const first = await sendRows(page, [`Ana,${twice},1,o1`, `Bob,${excluded},2,o2`, `Ana,${twice},3,o3`, `Eve,${later},4,o4`], 2);
  const other = await open();
  await signIn(other, 'Samuel', 'sender');
  const second = await sendRows(other, [`Eve,${later},other,o5`], 1);

  await page.goto(`${first}/person`);
  const find = async (phone: string) => {
    await page.getByLabel('Number with country code').fill(phone);
    await page.getByRole('button', { name: 'Find' }).click();
  };
  await find(twice);
  await expect(page.getByRole('heading', { name: 'Row 1 of the file' })).toBeVisible();
  await expect(page.getByText('WhatsApp accepted the message')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Row 3 of the file' })).toBeVisible();
  await expect(page.getByText('Not used: the number came earlier in the file')).toBeVisible();
  await expectAccessible(page, 'one person twice');
  await picture(page, 'campaign-person-twice');
  await expectGoodElsewhere(page, 'campaign-person-twice');
  await find(excluded);
  await expect(page.getByRole('heading', { name: 'Row 2 of the file' })).toBeVisible();
  await expect(page.getByText('Not used: the number is on the exclude list')).toBeVisible();
  // A later campaign messaged this one, too.
  await find(later);
  await expect(page.getByRole('heading', { name: 'Row 4 of the file' })).toBeVisible();
  await expect(page.getByText('WhatsApp accepted the message')).toBeVisible();
  await expect(page.getByText('This number was last messaged by another campaign.').getByRole('link')).toHaveAttribute('href', new URL(second).hash);
  await find('+12025550999');
  await expect(page.getByText('This number is in no row of this campaign.')).toBeVisible();
});

test('the account shows the number as WhatsApp describes it, and that WhatsApp cannot be asked', async ({ page }) => {
  await signIn(page, 'Vera', 'viewer');
  // With one number, the page says nothing of others.
  await page.route('**/v1/numbers', async (route) => {
    const answer = await route.fetch();
    const { numbers } = (await answer.json()) as { numbers: { is_first: boolean }[] };
    await route.fulfill({ response: answer, json: { numbers: numbers.filter((one) => one.is_first) } });
  });
  await page.goto(`${API}/#/account`);
  const number = page.getByRole('region', { name: 'Number', exact: true });
  await expect(number).toContainText('High quality');
  await expect(number).toContainText('Simulated business');
  await expect(number).toContainText('Standard: 80 messages a second');
  await expect(number).toContainText('Connected');
  await expect(page.getByText('no limit')).toBeVisible();
  await page.route('**/v1/account', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), number: null } });
  });
  await page.reload();
  await expect(number).toContainText('WhatsApp cannot be asked about the number at the moment');
  await expect(page.getByText('not known', { exact: true }).first()).toBeVisible();
  await expectAccessible(page, 'account without a number');
});

test('an exclude list that has not arrived is asked for after a reload', async ({ page }) => {
  await signIn(page, 'Samuel', 'sender');
  await page.goto(`${API}/#/campaigns/new?template=order_update&language=en`);
  const list = tableFile('do-not-message.csv', ['Phone', phoneOf(5001)]);
  await page.getByText('People who must not get it').click();
  await page.locator('#exclude').setInputFiles(list);
  await expect(page.getByText('Excluded: everybody in do-not-message.csv')).toBeVisible();
  // The connection breaks while the list is on its way; the file itself arrives.
  const isList = (url: URL) => url.pathname.includes('exclude');
  await page.route(isList, (route) => (route.request().method() === 'PUT' ? route.abort() : route.continue()));
  await page.locator('#file').setInputFiles(customers(3, { first: 5000 }));
  await expect(page.getByText('The upload did not arrive')).toBeVisible();
  await page.unroute(isList);
  await page.reload();
  await expect(page.getByText('The upload of do-not-message.csv is not complete.')).toBeVisible();
  await expect(page.locator('#file')).toHaveCount(0);
  await page.locator('#exclude').setInputFiles(list);
  await expect(page.getByRole('button', { name: 'Send 2 messages' })).toBeVisible({ timeout: 60_000 });
  // What the API shows of the file is there after a reload, too.
  await page.reload();
  await expect(page.getByRole('region', { name: 'Filled with the values of a row' })).toContainText('Row 1');
});

test('failures are grouped: the people of one cause are suppressed, the rows of another sent again', async ({ page }) => {
  // The simulator refuses 20 and 21, reports 60 and 62 as not delivered, and breaks the connection of 02.
  const numbers = [20, 21, 60, 62, 2, 99].map((end) => `Ana,+120255501${String(end).padStart(2, '0')},20 €,o${end}`);
  const file = tableFile('failures.csv', ['Name,Phone,Amount,Order', ...numbers, `Ana,${phoneOf(6000)},20 €,o`]);
  await signIn(page, 'Samuel', 'sender');
  await page.goto(`${API}/#/campaigns/new?template=order_update&language=en`);
  await uploadFile(page, file);
  await page.getByRole('button', { name: 'Send 7 messages' }).click();
  await expect(page.getByText('Finished', { exact: true }).first()).toBeVisible({ timeout: 60_000 });
  await page.getByRole('link', { name: 'Failures' }).click();
  await expect(page.getByText(/WhatsApp code 131030/)).toBeVisible();
  await expectAccessible(page, 'failures');
  await picture(page, 'failures');
  // Nobody got these; those who may have got theirs are not offered.
  const causes = page.getByRole('listitem').filter({ has: page.getByRole('heading', { level: 3 }) });
  const unconfirmed = causes.filter({ hasText: 'Unconfirmed' });
  await expect(unconfirmed).toBeVisible();
  await expect(unconfirmed.getByRole('button', { name: /^Suppress/ })).toHaveCount(0);
  await causes.filter({ hasText: 'WhatsApp code 131030' }).getByRole('button', { name: 'Suppress this person' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('They get no message of any campaign any more');
  await dialog.getByLabel(/^Reason/).fill('no customer of ours');
  await expectAccessible(page, 'suppression of rows');
  await picture(page, 'failures-suppress');
  await expectGoodElsewhere(page, 'failures-suppress');
  await dialog.getByRole('button', { name: 'Suppress 1 person' }).click();
  await expect(page.getByText('1 person is suppressed now who was not before.')).toBeVisible({ timeout: 60_000 });
  await expectAccessible(page, 'suppressed rows');
  await picture(page, 'failures-suppressed');
  await expectGoodElsewhere(page, 'failures-suppressed');
  const contact = `${API}/v1/contacts/+12025550121`;
  const known = (await (await (await apiAs()).get(contact)).json()) as { suppressed: boolean };
  expect(known.suppressed).toBe(true);
  expect(JSON.stringify(known)).toContain('no customer of ours');
  await (await apiAs()).put(contact, { data: { suppressed: false } });

  // Meta held this one back: the only cause here that passes by itself.
  await page.getByRole('button', { name: 'Send this row again' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Make the campaign' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Retry of');
});

test('a second person approves, and a change makes the approval void', async ({ open }) => {
  const admin = await apiAs();
  const settings = await (await admin.get(`${API}/v1/settings`)).json();
  await admin.put(`${API}/v1/settings`, { data: { ...settings, approval_required: true } });
  try {
    const first = await open();
    await signIn(first, 'Ana', 'author');
    await first.goto(`${API}/#/campaigns/new?template=order_update&language=en`);
    await uploadFile(first, customers(5, { first: 7000 }));
    await first.getByRole('button', { name: 'Ask for approval' }).click();
    await expect(first.getByText('asked for approval')).toBeVisible();
    await expect(first.getByRole('button', { name: /^Send \d+ messages$/ })).toHaveCount(0);

    const second = await open();
    await signIn(second, 'Samuel', 'sender');
    await second.goto(first.url());
    await second.getByRole('button', { name: 'Approve 5 messages' }).click();
    await expect(second.getByText('Approved by Samuel')).toBeVisible();
    await expectAccessible(second, 'approved');
    await second.getByRole('button', { name: 'Send 5 messages' }).click();
    await expect(second.getByRole('heading', { name: 'Every row of the file' })).toBeVisible();
  } finally {
    await admin.put(`${API}/v1/settings`, { data: { ...settings, approval_required: false } });
  }
});

test('an answer arrives, is answered, and an opt-out closes the conversation', async ({ page }) => {
  await control('inbound', { from: phoneOf(0), text: 'Where is my order?' });
  await signIn(page, 'Samuel', 'sender');
  await page.getByRole('link', { name: 'Inbox' }).click();
  await page.getByRole('link', { name: /Where is my order\?/ }).click();
  await page.getByLabel('Your reply').fill('It leaves today.');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(page.getByText('It leaves today.')).toBeVisible();
  await expectAccessible(page, 'inbox');
  await picture(page, 'inbox');
  await control('inbound', { from: phoneOf(0), text: 'STOP' });
  await expect(page.getByText('This person asked for no messages. You cannot reply.')).toBeVisible({ timeout: 30_000 });
  await page.getByRole('link', { name: 'About this person' }).click();
  await expect(page.getByText('Must not be messaged')).toBeVisible();
  await expectAccessible(page, 'person');
  await picture(page, 'person');
});

test('each role is offered what it may do, and the API refuses the rest', async ({ page }) => {
  await signIn(page, 'Vera', 'viewer');
  await expect(page.getByRole('link', { name: 'New campaign' })).toHaveCount(0);
  await page.goto(`${API}/#/settings`);
  await expect(page.getByText('Only admins can change the settings.')).toBeVisible();
  await expect(page.getByRole('link', { name: 'Access' })).toHaveCount(0);
  await page.goto(`${API}/#/inbox`);
  await expect(page.getByText('+•••••••••0000').first().or(page.getByRole('link').filter({ hasText: 'STOP' }).first())).toBeVisible();
  const viewer = await apiAs(await tokenOf('Vera', 'viewer'));
  for (const [method, path] of [['POST', '/v1/tokens'], ['PUT', '/v1/settings'], ['POST', '/v1/campaigns']] as const) {
    const answer = await viewer.fetch(`${API}${path}`, { method, data: {} });
    expect(answer.status(), path).toBe(403);
  }
});

test('a token is made, shown once, and revoked', async ({ page }) => {
  await signIn(page, 'Maria', 'admin');
  await page.goto(`${API}/#/settings/tokens`);
  const name = `Temp ${Date.now().toString(36)}`;
  await page.getByLabel('Name of the person').fill(name);
  await page.getByRole('radio', { name: /^Viewer/ }).check();
  await page.getByRole('button', { name: 'Create the token' }).click();
  await expect(page.locator('code').filter({ hasText: /^crier_/ })).toBeVisible();
  await expectAccessible(page, 'tokens');
  await page.getByRole('button', { name: `Revoke: ${name}` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByRole('button', { name: `Revoke: ${name}` })).toHaveCount(0);
});

test('the whole way works by keyboard alone', async ({ page }) => {
  await page.goto(`${API}/`);
  await expect(page.locator('#token')).toBeVisible();
  // The identity provider's button comes first.
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await expect(page.locator('#token')).toBeFocused();
  await page.keyboard.type(await tokenOf('Samuel', 'sender'));
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Campaigns', level: 1 })).toBeFocused();
  const press = async (name: RegExp) => {
    for (let tries = 0; tries < 80; tries += 1) {
      await page.keyboard.press('Tab');
      const focused = await page.evaluate(() => (document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '').trim());
      if (name.test(focused)) return page.keyboard.press('Enter');
    }
    throw new Error(`no ${name} within reach of the Tab key`);
  };
  await press(/^New campaign$/);
  await press(/^order_update/);
  // No program can work the browser's dialog for files by keys.
  await uploadFile(page, customers(3, { first: 8000 }));
  await press(/^Send 3 messages$/);
  await expect(page.getByRole('heading', { name: 'Every row of the file' })).toBeVisible();
});

