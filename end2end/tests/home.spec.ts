// The first visit: from nothing, the page leads to the first run, one button after the other.
import { Anneal, accessible, expect, open, shots, test } from '../support/anneal';

test('a newcomer is led from nothing to the first run', async ({ page }) => {
  const fresh = await Anneal.start();
  try {
    await open(page, `${fresh.url}/`);
    await expect(page.getByRole('heading', { name: 'From nothing to a model that shows its work' })).toBeVisible();
    await accessible(page);
    await shots(page, 'home-first-visit');
    await page.getByRole('button', { name: /Generate 5,000/ }).click();
    await page.getByRole('button', { name: /Build addition@1/ }).click();
    await expect(page.getByRole('button', { name: 'Start training' })).toBeVisible();
    const datasets = await fresh.json('datasets', 'list');
    expect(JSON.stringify(datasets)).toContain('addition');
  } finally {
    await fresh.stop();
  }
});

test('the keyboard reaches every place', async ({ page }) => {
  await open(page, '/');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused();
  await page.keyboard.press('g');
  await page.keyboard.press('r');
  await expect(page).toHaveURL(/\/runs$/);
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
});
