// Traces in: a file with bad lines, a generator, the list, one trace.
import { accessible, expect, open, shots, test } from '../support/anneal';

const line = (prompt: string, steps: object[]) =>
  JSON.stringify({ trace_version: '1.0', prompt, final_answer: '42', steps, meta: { category: 'browser' } });
const good = [{ i: 0, type: 'compute', content: 'think' }];
const repeated = [...good, { i: 0, type: 'compute', content: 'again' }];

test('an import keeps the good lines and names the bad ones', async ({ page }) => {
  await open(page, '/traces/import');
  const lines = [line('six times seven?', good), line('repeated', repeated), '{not json', line('seven times six?', good)];
  await page.locator('input[type=file]').setInputFiles({
    name: 'mixed.jsonl',
    mimeType: 'application/jsonl',
    buffer: Buffer.from(lines.join('\n')),
  });
  await expect(page.getByText(/2 added, 2 refused: line 2: /)).toBeVisible();
  await expect(page.getByRole('row', { name: /^3 / })).toBeVisible();
  await accessible(page);
  await shots(page, 'traces-import');
});

test('generated traces are listed, found and read', async ({ page, fresh }) => {
  await open(page, `${fresh.url}/traces/generate`);
  await expect(page.getByRole('heading', { name: 'The first three' })).toBeVisible();
  await page.getByLabel('Task family').selectOption('sorting');
  await page.getByLabel('Count').fill('30');
  await page.getByLabel('Seed').fill('3');
  await accessible(page);
  await shots(page, 'traces-generate');
  await page.getByRole('button', { name: 'Generate traces' }).click();
  await expect(page.getByText(/traces added/)).toBeVisible();

  await open(page, `${fresh.url}/traces?family=sorting`);
  const rows = page.getByRole('table').getByRole('row');
  await expect(rows).toHaveCount(31);
  await accessible(page);
  await shots(page, 'traces');
  await rows.nth(1).getByRole('link').click();
  await expect(page).toHaveURL(/\/traces\/[0-9a-f-]{36}/);
  await expect(page.getByRole('button', { name: 'Copy id' })).toBeVisible();
  await shots(page, 'trace');
});

test('an unknown trace answers 404 in plain words', async ({ page, expected }) => {
  expected(/404/);
  const answer = await page.goto('/traces/00000000-0000-7000-8000-000000000000');
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole('alert')).toBeVisible();
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('a form makes traces and the list shows them', async ({ page, fresh }) => {
    await page.goto(`${fresh.url}/traces/generate`);
    await page.getByLabel('Task family').selectOption('high_card_duel');
    await page.getByLabel('Count').fill('5');
    await page.getByRole('button', { name: 'Generate traces' }).click();
    await page.goto(`${fresh.url}/traces?family=high_card_duel`);
    await expect(page.getByRole('table').getByRole('row')).toHaveCount(6);
  });
});
