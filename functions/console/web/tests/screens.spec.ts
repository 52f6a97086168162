/** What each screen must be: accessible, without overflow, loaded with few requests. */

import { expect, type Page } from '@playwright/test';
import { API, apiAs, expectAccessible, expectNoOverflow, picture, test, tokenOf } from './harness';

const SCREENS = [
  'campaigns',
  'campaigns/new',
  'inbox',
  'inbox/new',
  'inbox/new?template=order_update&language=en',
  'people',
  'account',
  'settings',
  'settings/replies',
  'settings/sending',
  'settings/tokens',
  'settings/audit',
];

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 320, height: 720 };

async function openScreen(page: Page, screen: string): Promise<void> {
  await page.goto(`${API}/#/${screen}`);
  await expect(page.locator('h1')).toBeVisible();
  await expect(page.locator('.skeleton')).toHaveCount(0);
}

/** The screens of the campaign that has the most rows, if one has begun. */
async function campaignScreens(): Promise<string[]> {
  const { campaigns } = (await (await (await apiAs()).get(`${API}/v1/campaigns`)).json()) as { campaigns: { id: string; rows: { accepted: number; total: number } }[] };
  const [largest] = campaigns.filter((one) => one.rows.accepted > 0).sort((one, other) => other.rows.total - one.rows.total);
  return largest ? ['', '/failures', '/person', '/results', '/history'].map((tab) => `campaigns/${largest.id}${tab}`) : [];
}

// Colours are the same in each language, and words in each theme.
for (const { theme, language } of [
  { theme: 'light', language: 'en' },
  { theme: 'dark', language: 'en' },
  { theme: 'light', language: 'es' },
  { theme: 'light', language: 'pt' },
] as const) {
  test(`every screen is accessible, ${theme}, ${language}`, async ({ open }) => {
    const page = await open({ colorScheme: theme, locale: language === 'en' ? 'en-GB' : language });
    const isFirst = theme === 'light' && language === 'en';
    await page.goto(`${API}/`);
    await expect(page.locator('h1')).toBeVisible();
    await expectAccessible(page, 'sign-in');
    if (language === 'en') await picture(page, `sign-in-${theme}`);
    await page.locator('#token').fill(await tokenOf('Maria', 'admin'));
    await page.locator('form button[type=submit]').click();
    await expect(page.getByRole('navigation').first()).toBeVisible();
    for (const screen of [...SCREENS, ...(await campaignScreens())]) {
      await openScreen(page, screen);
      await expectAccessible(page, screen);
      const name = screen.replace(/\/[0-9a-f-]{36}/, '-one').replace(/\?.*/, '-chosen').replace('/', '-');
      if (language === 'en') await picture(page, `${name}-${theme}`);
      await page.setViewportSize(NARROW);
      await expectNoOverflow(page, `${screen} at ${NARROW.width} px`);
      // Stacked tables have other roles.
      if (isFirst) await expectAccessible(page, `${screen} at ${NARROW.width} px`);
      if (isFirst) await picture(page, `${name}-narrow`, { fullPage: true });
      await page.setViewportSize(WIDE);
    }
    expect(await page.evaluate(() => document.documentElement.lang)).toBe(language);
  });
}

/** The page and its script; the texts of another language are a third file. */
for (const [language, most] of [['en', 2], ['es', 3], ['pt', 3]] as const) {
  test(`the first load is ${most} files and asks nobody else, ${language}`, async ({ open }) => {
    const page = await open({ locale: language });
    const loaded: string[] = [];
    page.on('request', (request) => loaded.push(request.url()));
    await page.goto(`${API}/`);
    await expect(page.locator('#token')).toBeVisible();
    // The session and the identity provider are questions, and the icon is the browser's.
    const files = loaded.filter((url) => !/\/v1\/|sign-in\.json$|\.svg$/.test(url));
    expect(files).toHaveLength(most);
    expect(loaded.filter((url) => !url.startsWith(API))).toEqual([]);
  });
}
