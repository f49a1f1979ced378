// The model in the browser: the page, and the worker behind it against `anneal sample`, token for token.
import { expect, open, shots, test } from '../support/anneal';
import type { Anneal } from '../support/anneal';
import type { Page } from '@playwright/test';

const prompt = '12 + 30 =';

type Answer = { loaded: { backend: string; reason: string }; ids: number[]; text: string };

/** Speaks the worker's own protocol (domain::preview) from inside a page. */
async function ask(page: Page, anneal: Anneal, run: string, backend: string, tokens: number): Promise<Answer> {
  const detail = await anneal.json('runs', 'show', run);
  const url = (name: string) => {
    const file = detail.files.find((file: { name: string }) => file.name === name);
    return `/api/runs/${run}/files/${name}?sha256=${file.sha256}`;
  };
  const load = {
    type: 'load',
    config_url: url('config.json'),
    tokenizer_url: url('tokenizer.json'),
    weights_url: url('model.safetensors'),
    backend,
  };
  const sampler = { temperature: 0, top_k: 0, top_p: 1, seed: 1 };
  const generate = { type: 'generate', id: 1, prompt, max_new_tokens: tokens, sampler };
  return page.evaluate(
    ([load, generate]) =>
      new Promise<Answer>((done, fail) => {
        const worker = new Worker(document.documentElement.dataset.previewScript!, { type: 'module' });
        const answer: any = { text: '' };
        worker.onerror = (event) => fail(new Error(event.message));
        worker.onmessage = ({ data }) => {
          const said = JSON.parse(data);
          if (said.type === 'ready') worker.postMessage(JSON.stringify(load));
          if (said.type === 'loaded') {
            answer.loaded = said;
            worker.postMessage(JSON.stringify(generate));
          }
          if (said.type === 'token') answer.text += said.token.text;
          if (said.type === 'failed') fail(new Error(said.message));
          if (said.type === 'finished') {
            worker.terminate();
            done({ ...answer, ids: said.ids });
          }
        };
      }),
    [load, generate] as const,
  );
}

test('Flex in the browser writes the very tokens of the server', async ({ page, anneal, trained }) => {
  await open(page, '/playground');
  const here = await ask(page, anneal, trained.run, 'flex', 48);
  const there = await anneal.json('sample', '--run', trained.run, '--prompt', prompt, '--max-new-tokens', '48');
  expect(here.loaded.backend).toBe('flex');
  expect(here.ids).toEqual(there.ids);
  expect(here.text).toBe(there.text);
});

test('WebGPU writes the same first tokens', async ({ page, anneal, trained }) => {
  // Every kernel is compiled on first use, by a software GPU.
  test.setTimeout(300_000);
  await open(page, '/playground');
  const here = await ask(page, anneal, trained.run, 'web_gpu', 8);
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
