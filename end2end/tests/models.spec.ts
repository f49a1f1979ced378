// Base models: what a run left comes back through the page as a folder, is fine-tuned by LoRA, and goes again.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Anneal, type Trained, accessible, expect, open, shots, test } from '../support/anneal';
import { ask } from '../support/preview';

const FILES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

/** The files of a run's model, with one that no model needs, for as long as `use` takes. */
async function folder(anneal: Anneal, trained: Trained, use: (paths: string[]) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'anneal-model-'));
  try {
    for (const name of FILES) {
      const file = await fetch(`${anneal.url}/api/runs/${trained.run}/files/${name}`);
      expect(file.ok, name).toBe(true);
      writeFileSync(join(folder, name), Buffer.from(await file.arrayBuffer()));
    }
    writeFileSync(join(folder, 'README.md'), '# A model');
    await use([...FILES, 'README.md'].map((name) => join(folder, name)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a base model is added in the page, fine-tuned by LoRA, and answers in it', async ({ page, anneal, trained, expected }) => {
  test.setTimeout(240_000);
  await open(page, '/models');
  await expect(page.getByRole('main')).toContainText('No base models yet');
  await accessible(page);
  await shots(page, 'models-empty');
  await page.getByRole('main').getByRole('link', { name: 'Add model' }).last().click();
  await expect(page.getByRole('heading', { name: 'Add a base model' })).toBeVisible();
  const files = page.getByLabel(/Drop a model/);
  const add = page.getByRole('button', { name: 'Add model' });
  await add.click();
  await expect(page.getByRole('alert')).toContainText('Choose the model’s files first');

  await folder(anneal, trained, async (paths) => {
    // Weights alone are no model, and the page says what is missing.
    expected(/422/);
    await files.setInputFiles(paths.filter((path) => path.endsWith('.safetensors')));
    await page.getByLabel('Name', { exact: true }).fill('tiny');
    await add.click();
    await expect(page.getByRole('alert')).toContainText('there is no config.json');
    await files.setInputFiles(paths);
    await expect(page.getByRole('table')).toContainText('1 left out');
    await expect(page.getByRole('row')).toHaveCount(1 + FILES.length);
    await accessible(page);
    await shots(page, 'models-new');
    await add.click();
    await expect(page.getByText('tiny is added.')).toBeVisible();
    await expect(page.getByRole('row', { name: /tiny/ })).toContainText('llama');
    await accessible(page);
    await shots(page, 'models');

    await page.getByRole('link', { name: 'Add model' }).click();
    await page.getByLabel('Name', { exact: true }).fill('tiny');
    await files.setInputFiles(paths);
    await add.click();
    await expect(page.getByText('there is a model of this name')).toBeVisible();
    await expect(page.getByLabel('Name', { exact: true })).toBeFocused();
  });

  await open(page, '/models');
  await page.getByRole('link', { name: 'Fine-tune tiny' }).click();
  const field = (label: string) => page.getByLabel(label, { exact: true });
  await expect(field('Begin with recipe')).toHaveValue('sft_lora');
  await expect(field('Base model')).toHaveValue('tiny');
  // The recipe's context is longer than this model's, and was cut to it.
  const context = Number(await field('Context').inputValue());
  expect(context).toBeLessThan(512);
  await expect(field('Longest answer')).toHaveValue(String(Math.min(256, context)));
  await expect(field('query')).toBeChecked();
  await expect(field('value')).toBeChecked();
  await expect(field('gate')).not.toBeChecked();
  for (const target of ['query', 'value']) await field(target).uncheck();
  await expect(page.getByText('must name at least one matrix').first()).toBeVisible();
  for (const target of ['gate', 'query']) await field(target).check();
  await expect(page.getByText('must name at least one matrix')).toHaveCount(0);
  for (const [label, value] of [
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
  await accessible(page);
  await shots(page, 'run-new-lora');
  await page.getByRole('button', { name: 'Start run' }).click();
  await expect(page.locator('[data-state=done]')).toBeVisible({ timeout: 120_000 });
  await expect(page.getByText('adapter_model.safetensors')).toBeVisible();
  const run = page.url().split('/').pop()!;
  const { recipe } = await anneal.json('runs', 'show', run);
  expect([recipe.model.base, recipe.lora.targets]).toEqual(['tiny', ['query', 'gate']]);

  // Primed alike, instruction included: the browser writes the tokens of the command line.
  const here = await ask(page, anneal, run, 'flex', '12 + 30 =', 12);
  const there = await anneal.json('sample', '--run', run, '--prompt', '12 + 30 =', '--max-new-tokens', '12');
  expect(here.ids).toEqual(there.ids);

  // A conversation: the model is given what was said before, and writes what the command line's writes.
  await open(page, `/playground?run=${run}`);
  await page.getByText('Settings').click();
  await expect(page.getByLabel('System instruction')).toHaveValue('Add.');
  await expect(page.getByLabel('Remember what was said')).toBeChecked();
  await page.getByLabel('Longest answer, tokens').fill('6');
  await page.getByLabel('Compute on').selectOption('flex');
  await expect(page.getByText('Ready')).toBeVisible({ timeout: 60_000 });
  const questions = ['1 + 2 =', '3 + 4 ='];
  for (const [at, question] of questions.entries()) {
    await page.getByLabel('Prompt').fill(question);
    await page.getByRole('button', { name: 'Ask' }).click();
    await expect(page.getByText(/tokens\/s/)).toHaveCount(at + 1, { timeout: 60_000 });
  }
  await expect(page.getByLabel('Prompt')).toHaveValue('');
  await page.getByLabel('Prompt').press('ArrowUp');
  await expect(page.getByLabel('Prompt')).toHaveValue(questions[1]);
  const said = await anneal.converse(questions, 'sample', '--run', run, '--max-new-tokens', '6');
  expect(said[1].prompt_tokens).toBeGreaterThan(said[0].prompt_tokens);
  expect(await page.locator('.wrote').allTextContents()).toEqual(said.map(({ text }) => text));
  await expect(page.getByText(`after ${said[1].prompt_tokens} of`)).toBeVisible();
  await accessible(page);
  await shots(page, 'playground-conversation');
  await page.getByRole('button', { name: 'New conversation' }).click();
  await expect(page.locator('.wrote')).toHaveCount(0);
});

test('a base model is deleted, unless a run needs it, and the deletion is undone', async ({ page, anneal, trained, expected }) => {
  await folder(anneal, trained, async (paths) => {
    await anneal.run('models', 'import', resolve(paths[0], '..'), '--name', 'doomed');
  });
  // Far more steps than the test lasts.
  const recipe = join(anneal.data, 'long.yaml');
  writeFileSync(
    recipe,
    'name: long\nmodel: { base: doomed, context: 32 }\nmethod: lora\ndata: { long_traces: drop }\n' +
      'train: { steps: 100000, batch: 4 }\nevaluation: { max_new_tokens: 8 }\n',
  );
  const run = await anneal.json('runs', 'start', recipe, '--dataset', trained.dataset);
  await open(page, '/models');
  const row = page.getByRole('row', { name: /doomed/ });
  expected(/409/);
  await page.getByRole('button', { name: 'Delete doomed' }).click();
  await expect(page.getByRole('status').getByText(/doomed is in use: run long .* trains from it/)).toBeVisible();
  await expect(row).toBeVisible();

  await anneal.run('runs', 'cancel', run.id);
  await expect.poll(async () => (await anneal.json('runs', 'show', run.id)).state, { timeout: 60_000 }).toBe('cancelled');
  await page.getByRole('button', { name: 'Delete doomed' }).click();
  await expect(row).toBeHidden();
  const toast = page.locator('.toast', { hasText: 'doomed deleted' });
  await expect(toast).toBeVisible();
  await toast.getByRole('button', { name: /Undo/ }).click();
  await expect(row).toBeVisible();
  await page.getByRole('button', { name: 'Delete doomed' }).click();
  await expect(row).toBeHidden();
  expect(JSON.stringify(await anneal.json('models', 'list'))).not.toContain('doomed');
});

test('an upload tells how far it is and can be cancelled', async ({ page, anneal }) => {
  const weights = join(anneal.data, 'slow.safetensors');
  writeFileSync(weights, Buffer.alloc(4_000_000));
  await open(page, '/models/new');
  await page.getByLabel('Name', { exact: true }).fill('slow');
  await page.getByLabel(/Drop a model/).setInputFiles(weights);
  const network = await page.context().newCDPSession(page);
  await network.send('Network.enable');
  const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 200_000 };
  await network.send('Network.emulateNetworkConditions', slow);
  await page.getByRole('button', { name: 'Add model' }).click();
  await expect(page.getByRole('progressbar', { name: 'Upload' })).toBeVisible();
  await expect(page.getByText(/ of 4\.0 MB/)).toBeVisible();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByRole('progressbar', { name: 'Upload' })).toHaveCount(0);
  await expect(page.getByRole('alert')).toHaveCount(0);
  await expect(page.getByRole('button', { name: 'Add model' })).toBeEnabled();
  await network.send('Network.emulateNetworkConditions', { ...slow, uploadThroughput: -1 });
  // What had arrived of the file is gone.
  await expect.poll(() => readdirSync(join(anneal.data, 'objects')).filter((name) => name.startsWith('.new-'))).toEqual([]);
  expect(JSON.stringify(await anneal.json('models', 'list'))).not.toContain('slow');
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 360, height: 740 } });

  test('a model is added and its form fits', async ({ page, anneal, trained }) => {
    await folder(anneal, trained, async (paths) => {
      await open(page, '/models/new');
      await page.getByLabel('Name', { exact: true }).fill('pocket');
      await page.getByLabel(/Drop a model/).setInputFiles(paths);
      const wide = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(await wide()).toBeLessThanOrEqual(0);
      await page.getByRole('button', { name: 'Add model' }).click();
      await expect(page.getByText('pocket is added.')).toBeVisible();
      expect(await wide()).toBeLessThanOrEqual(0);
      await page.getByText('pocket is added.').getByRole('link', { name: 'Fine-tune it' }).click();
      await expect(page.getByLabel('Base model', { exact: true })).toHaveValue('pocket');
      expect(await wide()).toBeLessThanOrEqual(0);
    });
  });
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('forms add, fine-tune and delete a model', async ({ page, anneal, trained }) => {
    await folder(anneal, trained, async (paths) => {
      await page.goto('/models/new');
      await page.getByLabel('Name', { exact: true }).fill('plain');
      await page.getByLabel(/Drop a model/).setInputFiles(paths.filter((path) => !path.endsWith('config.json')));
      await page.getByRole('button', { name: 'Add model' }).click();
      await expect(page.getByRole('alert')).toContainText('there is no config.json');
      await expect(page.getByLabel('Name', { exact: true })).toHaveValue('plain');
      await page.getByLabel(/Drop a model/).setInputFiles(paths);
      await page.getByRole('button', { name: 'Add model' }).click();
      await expect(page.getByText('plain is added.')).toBeVisible();
    });
    await page.getByRole('link', { name: 'Fine-tune plain' }).click();
    await expect(page.getByLabel('Base model', { exact: true })).toHaveValue('plain');
    // Without a target the form comes back and says so.
    for (const target of ['query', 'value']) await page.getByLabel(target, { exact: true }).uncheck();
    await page.getByRole('button', { name: 'Start run' }).click();
    await expect(page.getByText('must name at least one matrix, such as query').first()).toBeVisible();
    await page.goto('/runs/new?base=plain');
    await page.getByLabel('down', { exact: true }).check();
    await page.getByLabel('Steps', { exact: true }).fill('30000');
    await page.getByRole('button', { name: 'Start run' }).click();
    await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
    const run = page.url().split('/').pop()!;
    const { recipe } = await anneal.json('runs', 'show', run);
    expect([recipe.model.base, recipe.lora.targets]).toEqual(['plain', ['query', 'value', 'down']]);

    await page.goto('/models');
    await page.getByRole('button', { name: 'Delete plain' }).click();
    await expect(page.getByRole('alert')).toContainText('plain is in use');
    await anneal.run('runs', 'cancel', run);
    await expect.poll(async () => (await anneal.json('runs', 'show', run)).state, { timeout: 60_000 }).toBe('cancelled');
    await page.getByRole('button', { name: 'Delete plain' }).click();
    await expect(page.getByRole('button', { name: 'Delete plain' })).toHaveCount(0);
  });
});
