// What every test gets: a server of its own on a fresh data directory, a page that must not write to the console's
// error log, and the command line. Tests import `test` and `expect` from here.
import AxeBuilder from '@axe-core/playwright';
import { test as base, expect, type Page } from '@playwright/test';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const binary = resolve(process.env.ANNEAL_BIN ?? join(import.meta.dirname, '../../dist/anneal'));

export class Anneal {
  private constructor(
    readonly url: string,
    readonly data: string,
    private child: ChildProcess,
    private readonly log: string[],
  ) {}

  static async start(): Promise<Anneal> {
    const data = mkdtempSync(join(tmpdir(), 'anneal-test-'));
    const url = `http://127.0.0.1:${await freePort()}`;
    const log: string[] = [];
    const server = new Anneal(url, data, serve(url, data, log), log);
    await server.ready();
    return server;
  }

  /** Ends the server as a power cut would, and starts it again on the same address and data. */
  async killAndRestart(): Promise<void> {
    const ended = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await ended;
    this.child = serve(this.url, this.data, this.log);
    await this.ready();
  }

  /** Runs a command of `anneal` against this server and returns what it printed. */
  run(...args: string[]): Promise<string> {
    return this.execute(args, '');
  }

  private execute(args: string[], input: string): Promise<string> {
    return new Promise((done, fail) => {
      const env = { ...process.env, ANNEAL_SERVER: this.url };
      const child = execFile(binary, args, { env, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        if (error) fail(new Error(`anneal ${args.join(' ')}: ${stderr || error.message}`));
        else done(stdout);
      });
      // A command may end before it is sent what it does not read; how it ended is told above.
      child.stdin!.on('error', (error: NodeJS.ErrnoException) => error.code === 'EPIPE' || fail(error));
      child.stdin!.end(input);
    });
  }

  /** The same with `--json`, parsed. */
  async json<T = any>(...args: string[]): Promise<T> {
    return JSON.parse(await this.run(...args, '--json'));
  }

  /** What the model answers to each line of a conversation. */
  async converse<T = any>(lines: string[], ...args: string[]): Promise<T[]> {
    const said = await this.execute([...args, '--json'], lines.join('\n'));
    return said.trim().split('\n').map((line) => JSON.parse(line));
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.child.once('exit', done));
    if (this.child.exitCode === null) {
      this.child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.data, { recursive: true, force: true });
    // A request that panicked ended alone, but it is never right.
    expect(this.panics(), 'panics in the log of anneal serve').toEqual([]);
  }

  /** What the server's log says of panics so far. */
  panics(): string[] {
    return this.log.join('').split('\n').filter((line) => line.includes('panicked'));
  }

  /** Asks until the server answers; a server that ends instead says why. */
  private async ready(): Promise<void> {
    const end = Date.now() + 30_000;
    while (Date.now() < end) {
      if (this.child.exitCode !== null) break;
      const answer = await fetch(`${this.url}/healthz`).catch(() => null);
      if (answer?.ok) return;
      await new Promise((done) => setTimeout(done, 50));
    }
    this.child.kill('SIGKILL');
    throw new Error(`anneal serve did not come up:\n${this.log.join('')}`);
  }
}

function serve(url: string, data: string, log: string[]): ChildProcess {
  const args = ['serve', '--listen', url.slice('http://'.length), '--data', data];
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => log.push(String(part)));
  return child;
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      probe.close(() => done(port));
    });
  });
}

/** What the pages are tested on: made once a worker by the command line. */
export type Trained = { dataset: string; run: string };

async function train(anneal: Anneal): Promise<Trained> {
  await anneal.run('traces', 'generate', '--family', 'addition', '-n', '200', '--seed', '7');
  await anneal.run('datasets', 'build', 'sums@1', '--where', 'family=addition', '--split', '80/10/10', '--seed', '1');
  const recipe = join(import.meta.dirname, '../../configs/recipes/smoke.yaml');
  const run = await anneal.json('runs', 'start', recipe, '--dataset', 'sums@1');
  await anneal.run('runs', 'watch', run.id, '--json');
  return { dataset: 'sums@1', run: run.id };
}

type Fixtures = { fresh: Anneal; problems: string[]; expected: (text: RegExp) => void };

export const test = base.extend<Fixtures, { anneal: Anneal; trained: Trained }>({
  anneal: [
    async ({}, use) => {
      const server = await Anneal.start();
      await use(server);
      await server.stop();
    },
    { scope: 'worker', timeout: 60_000 },
  ],

  trained: [async ({ anneal }, use) => use(await train(anneal)), { scope: 'worker', timeout: 300_000 }],

  // For a test that counts what is there: nothing of the other tests is.
  fresh: async ({}, use) => {
    const server = await Anneal.start();
    await use(server);
    await server.stop();
  },

  baseURL: async ({ anneal }, use) => use(anneal.url),

  problems: async ({}, use) => use([]),

  // A test that provokes an error on purpose names it: `expected(/404/)`.
  expected: async ({ problems }, use) => {
    const allowed: RegExp[] = [];
    await use((text) => allowed.push(text));
    const left = problems.filter((problem) => !allowed.some((text) => text.test(problem)));
    problems.splice(0, problems.length, ...left);
  },

  page: async ({ page, problems }, use) => {
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(`${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => problems.push(String(error)));
    await use(page);
  },

  // Last to be torn down of those that watch the page: nothing may be left on the console.
  _quiet: [
    async ({ problems, anneal }: Fixtures & { anneal: Anneal }, use: () => Promise<void>) => {
      await use();
      expect(anneal.panics(), 'panics in the log of anneal serve').toEqual([]);
      expect(problems, 'errors on the console').toEqual([]);
    },
    { auto: true },
  ] as any,
});

/** Opens a page and waits until wasm has taken it over: before that a click is an ordinary link or form post. */
export async function open(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await page.locator('html[data-hydrated=true]').waitFor();
}

/** No violation that axe can see, in either theme. */
export async function accessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']).analyze();
    const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
    expect(said, `axe, ${colorScheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: 'light' });
}

/** Screenshots for a person to look at: desktop light and dark, phone. */
export async function shots(page: Page, name: string): Promise<void> {
  const folder = join(import.meta.dirname, '../output/pages');
  const desktop = { width: 1280, height: 800 };
  for (const [suffix, size, scheme] of [
    ['', desktop, 'light'],
    ['-dark', desktop, 'dark'],
    ['-phone', { width: 360, height: 740 }, 'light'],
  ] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    await page.screenshot({ path: join(folder, `${name}${suffix}.png`), fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wide, `${name}${suffix} scrolls sideways`).toBeLessThanOrEqual(0);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(desktop);
}

export { expect };
