// A dataset built by the page; the same name with other content is refused in words.
import { expect, open, test } from '../support/anneal';

test('a dataset is built by the page and cannot be changed', async ({ page, anneal, expected }) => {
  await anneal.run('traces', 'generate', '--family', 'addition', '-n', '100', '--seed', '11');
  const build = async (seed: string) => {
    await open(page, '/datasets/new');
    await page.getByLabel('Name and version').fill('by-page@1');
    await page.getByLabel('Family').selectOption('addition');
    await page.getByLabel('Seed').fill(seed);
    await page.getByRole('button', { name: 'Build dataset' }).click();
  };
  await build('1');
  await expect(page).toHaveURL(/\/datasets\/by-page(@|%40)1/);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('by-page@1');
  await build('1');
  await expect(page).toHaveURL(/\/datasets\/by-page(@|%40)1/);

  expected(/409/);
  await build('2');
  await expect(page.getByText(/by-page@1/).last()).toBeVisible();
  await expect(page).toHaveURL(/\/datasets\/new/);
});

test('the items show what the loss falls on', async ({ page, trained }) => {
  await open(page, `/datasets/${trained.dataset}?split=test`);
  await page.locator('summary').first().click();
  await expect(page.getByText(/is what the loss falls on/).first()).toBeVisible();
  await expect(page.locator('.tokens mark').first()).toContainText('Answer:');
});

for (const name of ['../evil', 'with spaces']) {
  test(`the name "${name}" is refused beside its field`, async ({ page, expected }) => {
    expected(/422/);
    await open(page, '/datasets/new');
    await page.getByLabel('Name and version').fill(name);
    await page.getByRole('button', { name: 'Build dataset' }).click();
    await expect(page.getByLabel('Name and version')).toHaveAttribute('aria-invalid', 'true');
  });
}
