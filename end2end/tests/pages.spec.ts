// Every page with real content: it renders, wakes without an error, is accessible, and fits a phone. One trained run serves all.
import { accessible, expect, open, shots, test } from '../support/anneal';

const pages: [name: string, path: (run: string) => string, words: RegExp][] = [
  ['home', () => '/', /Finished/],
  ['datasets', () => '/datasets', /sums/],
  ['dataset', () => '/datasets/sums@1', /Lengths/],
  ['dataset-build', () => '/datasets/new', /Split/],
  ['runs', () => '/runs', /smoke/],
  ['run-new', () => '/runs/new?dataset=sums@1', /Recipe/],
  ['run', (run) => `/runs/${run}`, /Done/],
  ['evaluation', (run) => `/runs/${run}/evaluation`, /strict/i],
  ['leaderboard', () => '/leaderboard', /smoke/],
  ['playground', (run) => `/playground?run=${run}`, /Load model/],
  ['workers', () => '/workers', /flex/i],
];

for (const [name, path, words] of pages) {
  test(`${name} renders, is accessible and fits a phone`, async ({ page, trained }) => {
    await open(page, path(trained.run));
    await expect(page.getByRole('main')).toContainText(words);
    await expect(page.getByRole('heading', { level: 1 })).toHaveCount(1);
    await accessible(page);
    await shots(page, name);
  });
}

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  for (const [name, path, words] of pages) {
    test(`${name} can be read`, async ({ page, trained }) => {
      const answer = await page.goto(path(trained.run));
      expect(answer?.status()).toBe(200);
      await expect(page.getByRole('main')).toContainText(words);
    });
  }
});

test('the same figures by page and by command line', async ({ page, anneal, trained }) => {
  const shown = await anneal.json('evals', 'show', trained.run);
  expect(shown.strict.n).toBeGreaterThan(0);
  expect(shown.strict.low).toBeLessThanOrEqual(shown.strict.value);
  expect(shown.strict.high).toBeGreaterThanOrEqual(shown.strict.value);
  await open(page, `/runs/${trained.run}/evaluation`);
  await expect(page.getByRole('main')).toContainText(`${shown.strict.n}`);
});
