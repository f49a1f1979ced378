// Speaks the preview worker's own protocol (domain::preview) from inside a page, as the playground does.
import type { Page } from '@playwright/test';
import type { Anneal } from './anneal';

export type Answer = { loaded: { backend: string; reason: string }; ids: number[]; text: string };

/** What the model of a run writes in the browser, greedily. The page must be one of Anneal's. */
export async function ask(
  page: Page,
  anneal: Anneal,
  run: string,
  backend: string,
  prompt: string,
  tokens: number,
): Promise<Answer> {
  const detail = await anneal.json('runs', 'show', run);
  const files = Object.fromEntries(
    detail.files.map((file: { name: string; sha256: string }) => [
      file.name,
      `/api/runs/${run}/files/${file.name}?sha256=${file.sha256}`,
    ]),
  );
  const load = { type: 'load', files, backend };
  const sampler = { temperature: 0, top_k: 0, top_p: 1, seed: 1 };
  const system = detail.recipe.data.system ?? null;
  const generate = { type: 'generate', id: 1, system, prompt, max_new_tokens: tokens, sampler };
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
