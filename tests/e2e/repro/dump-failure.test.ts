import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AttemptRecord, defineScenario, direct, runScenario } from '@qmpilot/core';
import { readRuns, renderMarkdown } from '@qmpilot/core/report';
import { explainDump } from '@qmpilot/core/vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

let dir: string;
let guest: TinyGuest;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-dumps-'));
  guest = await makeTinyGuest(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('keeps the memory of the first panic of a run, and the report has the command that explains it', async () => {
  const scenario = defineScenario({
    name: 'panic',
    guest: direct({
      name: 'tiny',
      ...guest,
      append: 'console=ttyS0 quiet',
      cpus: 1,
      memoryMiB: 128,
      login: { prompt: /tiny# $/ },
    }),
    detect: { dump: true },
    async prepare(vm) {
      await vm.console.type('busybox mkdir -p /proc; busybox mount -t proc proc /proc; echo "status $?"\n');
      await vm.console.expect(/status 0/);
    },
    async attempt(vm, { watch, signal }) {
      await vm.console.type('echo c > /proc/sysrq-trigger\n', { signal });
      await watch.first({ kind: 'kernel-panic', signal });
    },
  });
  const out = join(dir, 'run');
  const { reproduced, failures } = await runScenario(scenario, { attempts: 3, forks: 1, dir: out });
  expect(reproduced).toBe(3);
  expect(failures).toMatchObject([{ attempts: 3, title: expect.stringContaining('sysrq triggered crash') }]);

  const records = readFileSync(join(out, 'attempts.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line): AttemptRecord => JSON.parse(line));
  const dumps = records.flatMap(({ dump }) => dump ?? []);
  expect(dumps).toHaveLength(1);
  const [dump = ''] = dumps;
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' });
  expect(files.filter((file) => file.endsWith('memory.elf'))).toEqual([dump]);
  const { tasks, stuck } = explainDump(join(out, dump));
  expect(stuck).toEqual([]);
  expect(tasks).toBeGreaterThan(10);
  const markdown = renderMarkdown(...(await readRuns([out])));
  expect(markdown).toContain(`qmpilot explain --stacks --dump ${dump}`);
  const page = readFileSync(join(out, 'report.html'), 'utf8');
  expect(page).toMatch(/<h2>Memory of the guest<\/h2>\s*<p>The memory of attempt \d was dumped\./);
  expect(page).toContain(`<code>qmpilot explain --stacks --dump ${dump}</code>`);
});
