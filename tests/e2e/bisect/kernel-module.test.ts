import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineScenario, direct } from '@qmpilot/core';
import { bisect, type BisectOptions } from '@qmpilot/core/bisect';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GitRepository } from '../../support/git-repository.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const VERSIONS = 52;
const CULPRIT = 31;
const BROKEN = [9, 22, 27, 33, 47];
const MERGES = [12, 25, 40];

/** Two threads add to a counter; without the lock, one of them may overwrite what the other added. */
const source = (version: number, locked: boolean) => `// Version ${version}
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>

static int first, second;
module_param(first, int, 0);
module_param(second, int, 0);
static int counter;
static DEFINE_MUTEX(lock);
static struct completion done[2];

static int add(void *data)
{
	int number = data != NULL, value;

	msleep(number ? second : first);
	${locked ? 'mutex_lock(&lock);' : ''}
	value = counter;
	msleep(20);
	counter = value + 1;
	${locked ? 'mutex_unlock(&lock);' : ''}
	complete(&done[number]);
	return 0;
}

static int __init start(void)
{
	init_completion(&done[0]);
	init_completion(&done[1]);
	kthread_run(add, NULL, "race/0");
	kthread_run(add, &counter, "race/1");
	wait_for_completion(&done[0]);
	wait_for_completion(&done[1]);
	pr_emerg("race ${version}: counter %s\\n", counter == 2 ? "right" : "WRONG");
	return -ECANCELED;
}
module_init(start);
MODULE_LICENSE("GPL");
${BROKEN.includes(version) ? '#error "broken"' : ''}
`;

let dir: string;
let repository: GitRepository;
let culprit: string;
let folder: string | undefined;
let before: string[];
beforeAll(() => {
  before = leftovers();
  const script = join(ROOT, 'tools/debian/build-module.sh');
  const { status, stdout } = spawnSync('sh', [script, 'bookworm', 'held-locks'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 125) expect(status).toBe(0);
  folder = status === 0 ? stdout.trim() : undefined;
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-bisect-module-'));
  repository = new GitRepository(join(dir, 'repo'));
  const makefile = 'obj-m := race.o\nall:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR) modules\n';
  repository.commit('start', { 'race.c': source(0, true), 'Makefile': makefile, '.gitignore': '*.ko\n*.o\n*.cmd\n' });
  repository.git('tag', 'v1');
  for (let version = 1; version <= VERSIONS; version += 1) {
    if (MERGES.includes(version)) repository.git('branch', `aside-${version}`);
    const commit = repository.commit(`version ${version}`, { 'race.c': source(version, version < CULPRIT) });
    if (version === CULPRIT) culprit = commit;
    if (!MERGES.includes(version)) continue;
    repository.git('checkout', '--quiet', `aside-${version}`);
    repository.commit(`documentation ${version}`, { [`${version}.md`]: 'text' });
    repository.git('checkout', '--quiet', 'main');
    repository.git('merge', '--quiet', '--no-ff', '--message', `merge ${version}`, `aside-${version}`);
  }
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function makeInitrd(at: string, module: string): Promise<string> {
  mkdirSync(at, { recursive: true });
  const { initrd } = await makeTinyGuest(at, { 'race.ko': readFileSync(module) });
  return initrd;
}

it('finds the commit that took the lock out of a kernel module, interrupted in the middle and resumed', async (context) => {
  if (folder === undefined) return context.skip('no kernel of bookworm, or no compiler');
  const built = folder;
  const release = /held-locks-(.*)-\d+$/.exec(built)?.[1] ?? '';
  const headers = join(built, '..', 'headers-bookworm/usr/src', `linux-headers-${release}`);
  const guests = new Map<string, string>();
  const options: BisectOptions = {
    repo: repository.path,
    good: 'v1',
    bad: 'main',
    build: `make -s KDIR=${headers} CC=gcc && cp race.ko "$QMPILOT_OUT"`,
    cacheDir: join(dir, 'cache'),
    scenario: async ({ dir: from, commit }) => {
      const at = join(dir, 'guests', commit);
      const initrd = guests.get(commit) ?? (await makeInitrd(at, join(from, 'race.ko')));
      guests.set(commit, initrd);
      return defineScenario({
        name: 'race',
        guest: direct({
          ...{ name: 'race', kernel: join(built, 'vmlinuz'), initrd, append: 'console=ttyS0 quiet' },
          ...{ cpus: 1, memoryMiB: 128, login: { prompt: /tiny# $/ } },
        }),
        async attempt(vm, { seed, fail, signal }) {
          const delays = `first=${(seed % 4) * 40} second=${(Math.floor(seed / 4) % 4) * 40}`;
          await vm.console.type(`busybox insmod /race.ko ${delays}\n`, { signal });
          const { groups } = await vm.console.expect(/race \d+: counter (right|WRONG)/, { signal, timeout: '60s' });
          if (groups[0] === 'WRONG') fail('the counter is wrong');
        },
      });
    },
  };
  const controller = new AbortController();
  const at = join(dir, 'bisection');
  let searched = 0;
  const interrupted = bisect({
    ...options,
    dir: at,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type !== 'attempts' || event.purpose !== 'search') return;
      searched += 1;
      if (searched === 3) controller.abort();
    },
  });
  await expect(interrupted).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }));

  const result = await bisect({ ...options, resume: at });
  expect(result).toMatchObject({
    state: 'confirmed',
    culprits: [{ commit: culprit, subject: `version ${CULPRIT}` }],
    signature: 'the counter is wrong',
    commits: VERSIONS + 2 * MERGES.length,
  });
  expect(result.builds).toBeLessThan(20);
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});
