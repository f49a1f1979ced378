// A run from its form to its end: errors beside the fields, the page that follows it, charts, stop and retry.
import { Anneal, accessible, expect, open, shots, test } from '../support/anneal';

test('what is wrong stands beside its field, at once and after Start', async ({ page, trained, expected }) => {
  await open(page, `/runs/new?recipe=smoke&dataset=${trained.dataset}`);
  await expect(page.getByText(/of .+ available/)).toBeVisible();
  const rate = page.getByLabel('Learning rate');
  await rate.fill('0');
  await expect(rate).toHaveAttribute('aria-invalid', 'true');
  await expect(page.getByText('One thing to mend first')).toBeVisible();
  await accessible(page);
  await shots(page, 'run-new-wrong');
  expected(/422/);
  await page.getByRole('button', { name: 'Start run' }).click();
  await expect(rate).toBeFocused();
  await rate.fill('0.001');
  await expect(rate).not.toHaveAttribute('aria-invalid', 'true');
});

test('a run is followed live, through a server that is killed, to its end', async ({ page, expected }) => {
  test.setTimeout(240_000);
  // The page loses its server for a moment.
  expected(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|Failed to fetch/);
  const anneal = await Anneal.start();
  try {
    await anneal.run('traces', 'generate', '--family', 'addition', '-n', '200', '--seed', '7');
    await anneal.run('datasets', 'build', 'sums@1', '--where', 'family=addition', '--split', '80/10/10', '--seed', '1');
    await open(page, `${anneal.url}/runs/new?recipe=smoke&dataset=sums@1`);
    await page.getByLabel('Run name').fill('n'.repeat(200));
    await page.getByLabel('Device').selectOption('flex');
    await page.getByRole('button', { name: 'Start run' }).click();
    await expect(page.locator('[data-state=running]')).toBeVisible({ timeout: 60_000 });
    await expect(page.locator('.plot path.line').first()).toHaveAttribute('d', /L/, { timeout: 60_000 });
    await shots(page, 'run-live');
    await anneal.killAndRestart();
    await expect(page.locator('[data-state=done]')).toBeVisible({ timeout: 180_000 });
    await expect(page.getByRole('link', { name: 'Talk to it' })).toBeVisible();
    await expect(page.getByText('model.safetensors')).toBeVisible();
  } finally {
    // Away first: the page would ask for more events of a server that is gone.
    await page.goto('about:blank');
    await anneal.stop();
  }
});

test('a run is stopped, keeps its checkpoint, and goes on from it', async ({ page, anneal, trained }) => {
  test.setTimeout(240_000);
  const recipe = ['--set', 'train.steps=100000', '--set', 'device=flex', '--name', 'to be stopped'];
  const run = await anneal.json('runs', 'start', 'smoke', '--dataset', trained.dataset, ...recipe);
  await open(page, `/runs/${run.id}`);
  await expect(page.locator('[data-state=running]')).toBeVisible({ timeout: 60_000 });
  await expect(page.locator('.plot path.line').first()).toHaveAttribute('d', /L/, { timeout: 60_000 });
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByText(/Asked to stop/)).toBeVisible();
  await expect(page.locator('[data-state=cancelled]')).toBeVisible({ timeout: 60_000 });
  await shots(page, 'run-stopped');
  await page.getByRole('button', { name: /Retry from step \d+/ }).click();
  await expect(page.locator('[data-state=running]')).toBeVisible({ timeout: 60_000 });
  await expect(page.locator('li', { hasText: 'Attempt 2' })).toContainText(/from step \d+/, { timeout: 30_000 });
  await anneal.run('runs', 'cancel', run.id);
  await expect(page.locator('[data-state=cancelled]')).toBeVisible({ timeout: 60_000 });
});

test('a chart tells values, zooms and comes back', async ({ page, trained }) => {
  await open(page, `/runs/${trained.run}`);
  const plot = page.locator('.plot').first();
  const box = (await plot.boundingBox())!;
  const at = (share: number) => box.x + box.width * share;
  await page.mouse.move(at(0.5), box.y + 40);
  await expect(page.locator('.tip')).toContainText(/Step \d+.*loss/);
  const whole = await plot.locator('.tick.x').allTextContents();
  await page.mouse.move(at(0.4), box.y + 40);
  await page.mouse.down();
  await page.mouse.move(at(0.7), box.y + 40, { steps: 5 });
  await page.mouse.up();
  const back = page.getByRole('button', { name: 'Whole run' }).first();
  await expect(back).toBeVisible();
  await expect(async () => expect(await plot.locator('.tick.x').allTextContents()).not.toEqual(whole)).toPass();
  await plot.dblclick();
  await expect(back).toBeHidden();
  await expect(async () => expect(await plot.locator('.tick.x').allTextContents()).toEqual(whole)).toPass();
  await plot.focus();
  await page.keyboard.press('ArrowLeft');
  await expect(page.locator('.tip')).toBeVisible();
  await page.getByRole('button', { name: 'val loss' }).click();
  await expect(page.locator('.plot').first().locator('path.line')).toHaveCount(1);
});

test('predictions are read by keyboard', async ({ page, trained }) => {
  await open(page, `/runs/${trained.run}/evaluation`);
  const items = page.locator('.exam-item');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await expect(items.nth(1)).toBeFocused();
  await page.keyboard.press('k');
  await expect(items.nth(0)).toBeFocused();
  await page.keyboard.press('f');
  await expect(page).toHaveURL(/only=wrong/);
  await expect(page.getByRole('link', { name: /^Wrong/ })).toHaveAttribute('aria-current', 'page');
});

test('the whole log is a link away', async ({ page, request, trained, baseURL }) => {
  await open(page, `/runs/${trained.run}`);
  const path = await page.getByRole('link', { name: 'Whole log' }).getAttribute('href');
  const answer = await request.get(new URL(path ?? '', baseURL).href);
  expect(answer.headers()['content-type']).toContain('text/plain');
  const shown = (await page.locator('.log').textContent())!.trim().split('\n');
  expect((await answer.text()).trim().split('\n').length).toBeGreaterThanOrEqual(shown.length);
});
