// Lists by keyboard: search, arrows, filters that stand in the address, a delete and its undo.
import { expect, open, test } from '../support/anneal';

test.beforeAll(async ({ anneal }) => {
  await anneal.run('traces', 'generate', '--family', 'sorting', '-n', '60', '--seed', '21');
  await anneal.run('traces', 'generate', '--family', 'high_card_duel', '-n', '12', '--seed', '22');
});

test('a list is searched and walked by keyboard', async ({ page }) => {
  await open(page, '/traces?family=sorting');
  await page.keyboard.press('/');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await page.keyboard.press('ArrowDown');
  const rows = page.locator('table [data-row]');
  await expect(rows.nth(0)).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('j');
  await expect(rows.nth(2)).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await expect(rows.nth(1)).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/traces\/[0-9a-f-]{36}/);
});

test('filters stand in the address and can be cleared', async ({ page }) => {
  await open(page, '/traces');
  const family = page.getByLabel('Filter by family');
  await family.selectOption('high_card_duel');
  await expect(page).toHaveURL(/family=high_card_duel/);
  await expect(page.getByText('12 traces', { exact: true })).toBeVisible();
  await page.getByRole('searchbox').fill('no such words anywhere');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'No trace matches' })).toBeVisible();
  await page.getByRole('link', { name: 'Clear filters' }).click();
  await expect(page.getByRole('table')).toBeVisible();
  await expect(family).toHaveValue('');
  await expect(page.getByRole('searchbox')).toHaveValue('');
});

test('a delete is undone by a key', async ({ page }) => {
  await open(page, '/traces?family=high_card_duel');
  const rows = page.getByRole('table').getByRole('row');
  await expect(rows).toHaveCount(13);
  await page.getByLabel('Select all on this page').check();
  await expect(page.getByText('12 selected')).toBeVisible();
  await page.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText(/12 traces deleted/)).toBeVisible();
  await expect(page.getByRole('heading', { name: 'No trace matches' })).toBeVisible();
  await page.keyboard.press('u');
  await expect(rows).toHaveCount(13);
});

test('two traces are chosen and compared', async ({ page }) => {
  await open(page, '/traces?family=sorting');
  await page.locator('table [data-row]').first().click();
  await page.getByRole('link', { name: 'Compare' }).click();
  await expect(page.getByRole('heading', { name: 'Choose the second trace' })).toBeVisible();
  await page.locator('.picks [data-row]').first().click();
  await expect(page.getByText(/They differ in \d+ places?, marked below/)).toBeVisible();
  await expect(page.locator('.compare mark').first()).toBeVisible();
});
