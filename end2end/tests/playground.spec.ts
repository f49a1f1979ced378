// The model in the browser: the page, and the worker behind it against `anneal sample`, token for token.
import { expect, open, shots, test } from '../support/anneal';
import { ask } from '../support/preview';

const prompt = '12 + 30 =';

test('Flex in the browser writes the very tokens of the server', async ({ page, anneal, trained }) => {
  await open(page, '/playground');
  const here = await ask(page, anneal, trained.run, 'flex', prompt, 48);
  const there = await anneal.json('sample', '--run', trained.run, '--prompt', prompt, '--max-new-tokens', '48');
  expect(here.loaded.backend).toBe('flex');
  expect(here.ids).toEqual(there.ids);
  expect(here.text).toBe(there.text);
});

test('WebGPU writes the same first tokens', async ({ page, anneal, trained }) => {
  // Every kernel is compiled on first use, by a software GPU.
  test.setTimeout(300_000);
  await open(page, '/playground');
  const here = await ask(page, anneal, trained.run, 'web_gpu', prompt, 8);
  const there = await anneal.json('sample', '--run', trained.run, '--prompt', prompt, '--max-new-tokens', '8');
  expect(here.loaded.backend).toBe('web_gpu');
  expect(here.ids).toEqual(there.ids);
});

test('a person loads the model and talks to it', async ({ page, anneal, trained }) => {
  await open(page, `/playground?run=${trained.run}`);
  await page.getByText('Settings').click();
  await page.getByLabel('Compute on').selectOption('flex');
  await expect(page.getByText('Ready')).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText('CPU (Flex)').first()).toBeVisible();
  await page.getByLabel('Prompt').fill(prompt);
  await page.getByRole('button', { name: 'Ask' }).click();
  await expect(page.getByText(/tokens\/s/)).toBeVisible({ timeout: 60_000 });
  const there = await anneal.json('sample', '--run', trained.run, '--prompt', prompt);
  expect(await page.locator('.wrote').textContent()).toBe(there.text);
  await shots(page, 'playground-talk');
});
