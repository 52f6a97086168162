/** One message to one person. */

import { expect, type Page, type Route } from '@playwright/test';
import { API, apiAs, callsTo, expectAccessible, expectGoodElsewhere, phoneOf, picture, senders, signIn, test } from './harness';

const outcome = (page: Page) => page.getByRole('region', { name: 'What became of the message' });
const ACCEPTED = /Accepted, not delivered yet|Delivered, not read|Read/;

test('a message is sent once although its answer is lost, and the page says what became of it', async ({ page }) => {
  const to = phoneOf(9100);
  await signIn(page, 'Samuel', 'sender');
  await page.getByRole('link', { name: 'Inbox' }).click();
  await page.getByRole('link', { name: 'New message' }).click();
  await expect(page.getByRole('heading', { name: 'New message', level: 1 })).toBeVisible();
  await page.getByRole('button', { name: /order_update/ }).press('Enter');
  await expect(page.getByRole('button', { name: /^Change/ })).toBeFocused();

  // What is wrong is said where it is.
  const send = page.getByRole('button', { name: 'Send the message' });
  await page.getByLabel('{{1}} in the text').fill('{{Name}}');
  await send.click();
  const problems = page.getByRole('alert');
  await expect(problems).toContainText('Enter the number with + and country code');
  await expect(problems).toContainText('Write the value itself, without {{ }}: {{1}} in the text');
  await expect(problems).toContainText('Fill in: Link of button 1');
  await expect(page).toHaveTitle(/^Error: /);
  await expectAccessible(page, 'message with errors');
  await problems.getByRole('link', { name: 'Fill in: {{2}} in the text' }).click();
  await expect(page.getByLabel('{{2}} in the text')).toBeFocused();

  await page.getByLabel('{{2}} in the text').fill('20 €');
  await page.getByLabel('{{1}} in the text').fill('Ana');
  await page.getByLabel('Link of button 1').fill('o1');
  await page.getByLabel('Phone number with country code').fill(to);
  await expect(page.getByLabel('Send ahead of running campaigns')).toBeChecked();
  await expect(page.getByRole('group', { name: 'Message', exact: true })).toContainText('Hello Ana, your order over 20 € is on its way.');
  await picture(page, 'message');
  await expectGoodElsewhere(page, 'message');

  // The API takes the message, the connection breaks before its answer; the second click is the same message, too.
  const lose = async (route: Route) => {
    await route.fetch();
    await route.abort();
  };
  await page.route('**/v1/messages', lose, { times: 1 });
  await send.dblclick();
  await expect(problems).toContainText('No answer came.');
  await send.click();
  await expect(page.getByRole('heading', { name: 'What became of the message' })).toBeFocused();
  await expect(outcome(page)).toContainText(ACCEPTED, { timeout: 60_000 });
  expect(await callsTo([to])).toHaveLength(1);
  await expectAccessible(page, 'message sent');
  await picture(page, 'message-sent');
  await expectGoodElsewhere(page, 'message-sent');

  // Another one is another message.
  await page.getByRole('button', { name: 'Write another message' }).click();
  await expect(page.getByLabel('Phone number with country code')).toBeFocused();
  await expect(page.getByLabel('Phone number with country code')).toHaveValue('');
  await expect(page.getByLabel('{{1}} in the text')).toHaveValue('');
});

test('a message is sent from the chosen number', async ({ page }) => {
  const to = phoneOf(9101);
  const [, second] = await senders();
  await signIn(page, 'Samuel', 'sender');
  await page.goto(`${API}/#/inbox/new?template=hello_world&language=en_US`);
  await page.getByLabel('Phone number with country code').fill(to);
  await page.getByLabel('Send from').selectOption(second.id);
  await page.getByLabel('Send ahead of running campaigns').uncheck();
  await page.getByRole('button', { name: 'Send the message' }).click();
  await expect(outcome(page)).toContainText(ACCEPTED, { timeout: 60_000 });
  expect((await callsTo([to])).map(({ number }) => number)).toEqual([second.id]);
});

test('nobody is messaged who must not be, and only by those who may', async ({ page, open }) => {
  const to = phoneOf(9102);
  await (await apiAs()).put(`${API}/v1/contacts/${to}`, { data: { suppressed: true } });
  await signIn(page, 'Samuel', 'sender');
  await page.goto(`${API}/#/inbox/new?template=hello_world&language=en_US`);
  await page.getByLabel('Phone number with country code').fill(to);
  await page.getByRole('button', { name: 'Send the message' }).click();
  await page.getByRole('alert').getByRole('link', { name: 'Must not be messaged' }).click();
  await expect(page.getByLabel('Phone number with country code')).toBeFocused();
  expect(await callsTo([to])).toEqual([]);

  const other = await open();
  await signIn(other, 'Vera', 'viewer');
  await other.goto(`${API}/#/inbox`);
  await expect(other.getByRole('heading', { name: 'Inbox', level: 1 })).toBeVisible();
  await expect(other.getByRole('link', { name: 'New message' })).toHaveCount(0);
  await other.goto(`${API}/#/inbox/new`);
  await expect(other.getByText('Your role may not send messages.')).toBeVisible();
  await expect(other.getByRole('button', { name: 'Send the message' })).toHaveCount(0);
});
