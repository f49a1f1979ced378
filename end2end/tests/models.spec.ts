// A base model: what a run left, sent back to the server as a folder, is fine-tuned by LoRA from the page.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessible, expect, open, shots, test } from '../support/anneal';
import { ask } from '../support/preview';

const FILES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

test('a base model is added, fine-tuned by LoRA from the page, and answers in it', async ({ page, anneal, trained }) => {
  test.setTimeout(240_000);
  await open(page, '/models');
  await expect(page.getByRole('main')).toContainText('No base models yet');
  await accessible(page);
  await shots(page, 'models-empty');

  const folder = mkdtempSync(join(tmpdir(), 'anneal-model-'));
  try {
    for (const name of FILES) {
      const file = await fetch(`${anneal.url}/api/runs/${trained.run}/files/${name}`);
      expect(file.ok, name).toBe(true);
      writeFileSync(join(folder, name), Buffer.from(await file.arrayBuffer()));
    }
    await anneal.run('models', 'import', folder, '--name', 'tiny');
  } finally {
    rmSync(folder, { recursive: true });
  }
  await open(page, '/models');
  await expect(page.getByRole('row', { name: /tiny/ })).toContainText('llama');
  await accessible(page);
  await shots(page, 'models');

  await page.getByRole('link', { name: 'Fine-tune one' }).click();
  const field = (label: string) => page.getByLabel(label, { exact: true });
  await expect(field('Base model')).toHaveValue('smollm2');
  await expect(page.getByText(/there is no model "smollm2".*known: tiny/).first()).toBeVisible();
  for (const [label, value] of [
    ['Base model', 'tiny'],
    ['Steps', '4'],
    ['Warm-up steps', '1'],
    ['Evaluate every', '2'],
    ['Val items', '4'],
    ['Longest answer', '8'],
    ['Test items', '4'],
    ['Checkpoint every', '2'],
    ['Rank', '4'],
    ['System instruction', 'Add.'],
  ]) {
    await field(label).fill(value);
  }
  await shots(page, 'run-new-lora');
  await page.getByRole('button', { name: 'Start run' }).click();
  await expect(page.locator('[data-state=done]')).toBeVisible({ timeout: 120_000 });
  await expect(page.getByText('adapter_model.safetensors')).toBeVisible();

  // Primed alike, instruction included: the browser writes the tokens of the command line.
  const run = page.url().split('/').pop()!;
  const here = await ask(page, anneal, run, 'flex', '12 + 30 =', 12);
  const there = await anneal.json('sample', '--run', run, '--prompt', '12 + 30 =', '--max-new-tokens', '12');
  expect(here.ids).toEqual(there.ids);
});
