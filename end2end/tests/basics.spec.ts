// The server answers, its assets are named by content, and an unknown address is a page that says so.
import { expect, test } from '../support/anneal';

test('the first page renders and says what Anneal is', async ({ page }) => {
  const answer = await page.goto('/');
  expect(answer?.status()).toBe(200);
  await expect(page).toHaveTitle(/Anneal/);
  await expect(page.getByRole('main')).toBeVisible();
  await expect(page.getByRole('navigation').first()).toBeVisible();
});

test('assets are compressed and kept for ever', async ({ page, request, baseURL }) => {
  await page.goto('/');
  const sheet = await page.locator('link[rel=stylesheet]').first().getAttribute('href');
  const answer = await request.get(new URL(sheet ?? '', baseURL).href, { headers: { 'accept-encoding': 'br' } });
  expect(answer.status()).toBe(200);
  expect(answer.headers()['content-encoding']).toBe('br');
  expect(answer.headers()['cache-control']).toContain('immutable');
});

test('an unknown address answers 404', async ({ page, expected }) => {
  expected(/404/);
  const answer = await page.goto('/no-such-page');
  expect(answer?.status()).toBe(404);
});
