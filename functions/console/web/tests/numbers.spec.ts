/** Several numbers that messages are sent from; the stack has two. */

import { expect } from '@playwright/test';
import { API, callsTo, customers, expectAccessible, expectGoodElsewhere, phoneOf, picture, senders, signIn, test, uploadFile } from './harness';

/** So many that some of them get theirs from the second number, whose budget is small. */
const PEOPLE = 150;
const FIRST_PERSON = 9_200;

test('the account shows every number, and which one is the default', async ({ page }) => {
  const [first, second] = await senders();
  await signIn(page, 'Maria', 'admin');
  await page.goto(`${API}/#/account`);
  const rows = page.getByRole('region', { name: 'Numbers', exact: true }).getByRole('row');
  await expect(rows).toHaveCount(3);
  for (const [index, { budget, number }] of [first, second].entries()) {
    const row = rows.nth(index + 1);
    await expect(row).toContainText(number.phone);
    await expect(row.getByRole('cell', { name: new RegExp(`^[0-9.]+ of ${budget}$`) })).toBeVisible();
    await expect(row).toContainText('Simulated business');
    await expect(row).toContainText('High quality');
    await expect(row).toContainText('Connected');
  }
  await expect(rows.nth(1).getByText('default', { exact: true })).toBeVisible();
  await expect(rows.nth(2).getByText('default', { exact: true })).toHaveCount(0);
  await expect(page.getByText(`${first.budget + second.budget} messages a second with 2 numbers together`)).toBeVisible();
  await expectAccessible(page, 'account with two numbers');
  await picture(page, 'account-numbers');
  await expectGoodElsewhere(page, 'account-numbers');
});

test('a campaign is sent from two numbers, each person from one of them', async ({ page }) => {
  const [first, second] = await senders();
  const phones = `${first.number.phone}, ${second.number.phone}`;
  await signIn(page, 'Samuel', 'sender');
  await page.getByRole('link', { name: 'New campaign' }).first().click();
  await page.getByLabel('Name of the campaign').fill('From two numbers');
  await page.getByRole('button', { name: /order_update/ }).click();
  await uploadFile(page, customers(PEOPLE, { first: FIRST_PERSON }));

  // Nothing is said of numbers as long as it is the default one alone.
  const summary = page.getByText(/^Begins when you press the button/);
  await expect(summary).not.toContainText('from ');
  await page.getByRole('button', { name: /^Change ?: Sending$/ }).click();
  const from = page.getByRole('group', { name: 'Send from' });
  const boxes = from.getByRole('checkbox');
  await expect(boxes).toHaveCount(2);
  await expect(from).toContainText(`${second.budget} messages a second`);
  for (const box of await boxes.all()) {
    await expect(box).not.toBeChecked();
    await box.check();
  }
  await expectAccessible(page, 'numbers of a campaign');
  await picture(page, 'new-campaign-numbers');
  await expectGoodElsewhere(page, 'new-campaign-numbers');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(summary).toContainText(`from ${phones}`);

  // The choice is stored.
  await page.reload();
  await expect(summary).toContainText(`from ${phones}`);
  await page.getByRole('button', { name: /^Change ?: Sending$/ }).click();
  await expect(boxes).toHaveCount(2);
  for (const box of await boxes.all()) await expect(box).toBeChecked();
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();

  await page.getByRole('button', { name: `Send ${PEOPLE} messages` }).click();
  await expect(page.getByText(`Sent from ${phones}`)).toBeVisible();
  await expect(page.getByText('Finished', { exact: true }).first()).toBeVisible({ timeout: 90_000 });
  await expectAccessible(page, 'campaign from two numbers');
  await picture(page, 'campaign-numbers');
  await expectGoodElsewhere(page, 'campaign-numbers');

  const calls = await callsTo(Array.from({ length: PEOPLE }, (_, index) => phoneOf(FIRST_PERSON + index)));
  expect([...new Set(calls.map(({ number }) => number))].sort()).toEqual([first.id, second.id]);
  const call = calls.find(({ number }) => number === second.id);
  await page.goto(`${page.url()}/person`);
  await page.getByLabel('Number with country code').fill(`+${call?.to.replace('+', '')}`);
  await page.getByRole('button', { name: 'Find' }).click();
  await expect(page.getByRole('heading', { name: /^Row \d+ of the file/ })).toContainText(`Sent from ${second.number.phone}`);
});

test('a number is paused, its people wait, and it is resumed', async ({ page }) => {
  const [, second] = await senders();
  const people = 6;
  await signIn(page, 'Samuel', 'sender');
  await page.goto(`${API}/#/account`);
  const row = page.getByRole('region', { name: 'Numbers', exact: true }).getByRole('row').nth(2);
  await row.getByRole('button', { name: `Pause ${second.number.phone}` }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('nobody is lost');
  await expectAccessible(page, 'pause of a number');
  await picture(page, 'account-number-pause');
  await dialog.getByRole('button', { name: 'Pause', exact: true }).click();
  await expect(row).toContainText('Paused');
  await expect(page.getByText(`${second.number.phone} was paused by an operator`)).toBeVisible();
  await expectAccessible(page, 'account with a paused number');
  await picture(page, 'account-number-paused');
  await expectGoodElsewhere(page, 'account-number-paused');

  await page.goto(`${API}/#/campaigns`);
  await page.getByRole('link', { name: 'New campaign' }).first().click();
  await page.getByLabel('Name of the campaign').fill('From a paused number');
  await page.getByRole('button', { name: /order_update/ }).click();
  await uploadFile(page, customers(people, { first: FIRST_PERSON + PEOPLE }));
  await page.getByRole('button', { name: /^Change ?: Sending$/ }).click();
  await page.getByRole('group', { name: 'Send from' }).getByRole('checkbox').nth(1).check();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('button', { name: `Send ${people} messages` }).click();
  await expect(page.getByText(`Nothing is sent from ${second.number.phone} at the moment`)).toBeVisible();
  await expectAccessible(page, 'campaign of a paused number');
  await picture(page, 'campaign-number-paused');
  await expectGoodElsewhere(page, 'campaign-number-paused');
  const campaign = page.url();

  await page.goto(`${API}/#/account`);
  await row.getByRole('button', { name: `Resume ${second.number.phone}` }).click();
  await dialog.getByRole('button', { name: 'Resume', exact: true }).click();
  await expect(row.getByRole('button', { name: `Pause ${second.number.phone}` })).toBeVisible();
  await page.goto(campaign);
  await expect(page.getByText('Finished', { exact: true }).first()).toBeVisible({ timeout: 90_000 });
});
