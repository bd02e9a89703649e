/**
 * nodejs/node#55587, step for step: `npm ci` in a loop in one tmux pane, `ps` in a second, `kill -9` typed and waiting in a third.
 * What hangs, and how often, is up to the kernel: docs/explanation/the-bug.md.
 *
 * - `broken` (default): Debian's kernel with the fix of the bug undone by packages/core/guest/modules/io-uring-unlocked-flush
 * - `fixed`: the same kernel as it is
 * - `nixos`: the guest of the report, Linux 6.6.58, with nothing of ours in the kernel
 */
import { fileURLToPath } from 'node:url';
import {
  debian,
  defineScenario,
  isQmpilotError,
  nixos,
  type Finding,
  type ProcessStacks,
  type Vm,
  type Watch,
} from '@qmpilot/core';
import { describeKillEffect, parseThreadSample, THREAD_SAMPLE_SCRIPT } from '@qmpilot/core/detect';

/** How long the loop runs before an attempt counts as clean, in runs of `npm ci` as `prepare` measured one. */
const ROUNDS = 5;
const MEASURED = '/run/npm-ci-ms';
const MAX_LOOKS = 5;

/** The guest of the report: built from the flake of this repository, unless a finished start script is named. */
const script = process.env['QMPILOT_NIXOS_SCRIPT'];
const original = script
  ? nixos({ script })
  : nixos({ flake: fileURLToPath(new URL('../..', import.meta.url)), attribute: 'nixos-vm-snapshot' });
const broken = debian({ defect: 'io-uring-unlocked-flush' });

/** Without io_uring, so that it ends on every kernel. The first run fills the page cache. */
async function measure(vm: Vm): Promise<number> {
  const run = () => vm.expectOk('npm ci', { cwd: '/root/project', env: { UV_USE_IO_URING: '0' }, timeout: '5m' });
  await run();
  const milliseconds = Math.round((await run()).durationMs);
  await vm.expectOk(`echo ${milliseconds} > ${MEASURED}`);
  return milliseconds;
}

/** Loads the module of the `broken` guest; the others have none. */
async function undoFix(vm: Vm): Promise<string> {
  if ((await vm.exec('test -d "/usr/lib/qmpilot/$(uname -r)"')).exitCode !== 0) return 'the kernel is as it was built';
  await vm.expectOk('/usr/lib/qmpilot/load-defect');
  return (await vm.expectOk('dmesg | grep -o "io_uring_unlocked_flush: .* runs .*" | tail -n 1')).stdout.trim();
}

const sample = async (vm: Vm) => parseThreadSample((await vm.samplingShell.expectOk(THREAD_SAMPLE_SCRIPT)).stdout);

/** Where each thread is, in the kernel and by gdb, as in the report, in its program. */
function describeStacks({ threads, userUnavailable }: ProcessStacks): string {
  const names = (frames: readonly { readonly function?: string }[]) =>
    frames.map((frame) => frame.function ?? '??').join(' <- ');
  const lines = threads.map(({ tid, comm, state, kernel, user }) => {
    const program = user ? `\n  in the program: ${names(user)}` : '';
    return `${comm} (${tid}), state ${state}: ${names(kernel) || 'running'}${program}\n`;
  });
  return `${lines.join('')}${userUnavailable === undefined ? '' : `no user stacks: ${userUnavailable}\n`}`;
}

/** Looks until the main thread sleeps in its event loop: npm's spinner wakes it for a moment now and then. */
async function stacksAsleep(vm: Vm, pid: number, signal: AbortSignal): Promise<ProcessStacks> {
  for (let look = 1; ; look += 1) {
    const stacks = await vm.stacks(pid, { signal });
    const main = stacks.threads.find(({ tid }) => tid === pid);
    const asleep = main?.state === 'S' && (!main.user || main.user.some((frame) => frame.function === 'uv__io_poll'));
    if (asleep || look === MAX_LOOKS) return stacks;
  }
}

/** Waits for the kernel's report on a task of this name. */
async function hungTask(watch: Watch, name: RegExp, signal: AbortSignal): Promise<void> {
  const fits = (finding: Finding) => finding.kind === 'hung-task' && name.test(finding.task?.comm ?? '');
  if (watch.findings.some(fits)) return;
  await new Promise<void>((resolve, reject) => {
    watch.onFinding((finding) => fits(finding) && resolve());
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

export default defineScenario({
  name: 'npm-ci-hang',
  guest: broken,
  guests: { broken, fixed: debian(), nixos: original },
  timeout: '30m',
  // Everything that `prepare` leaves is in the guest.
  cache: true,

  async prepare(vm, { note }) {
    // By default the kernel reports a task after 120 s, and ends after ten reports.
    await vm.expectOk(
      'sysctl -q kernel.hung_task_timeout_secs=10 kernel.hung_task_check_interval_secs=5 kernel.hung_task_warnings=-1',
    );
    note(`npm ci takes ${((await measure(vm)) / 1000).toFixed(1)} s: an attempt looks ${ROUNDS} times as long`);
    note(await undoFix(vm));

    await vm.console.type('stty rows 40 cols 110; cd /root/project\n');
    vm.console.screen.resize(110, 40);
    // In a scope of the user manager, as a tmux with systemd support would do by itself.
    await vm.console.type('systemd-run --user --scope --quiet tmux new-session -s repro\n');
    const { screen } = vm.console;
    await screen.waitFor(/\[repro\]/, { row: -1 });
    await screen.waitFor(/root@[\w.-]+:~\/project\]?# ?$/m);
    await vm.console.type('while true; do npm ci; done');
    await screen.waitFor('while true; do npm ci; done');

    await vm.console.press('C-b', '"');
    await vm.console.type(`watch -d 'ps -p $(pidof "npm ci") u'\n`);
    await screen.waitFor(/Every 2\.0s/);

    await vm.console.press('C-b', '"');
    await screen.waitFor(/─{20}[^]*─{20}\n(?:[^\n]*\n)?[^\n]*project\]?# ?$/m);
    await vm.console.type('kill -9 $(pidof "npm ci")');
    await screen.waitFor(/kill -9/);
    note('three panes are ready, and the loop waits for its Enter');
    // To the next pane: the first one.
    await vm.console.press('C-b', 'o');
  },

  async attempt(vm, { signal, watch, note, attach }) {
    const { screen } = vm.console;
    const milliseconds = Number((await vm.expectOk(`cat ${MEASURED}`, { signal })).stdout);
    await vm.console.press('Enter');

    // The thread of the ring that waits for the lock; `npm ci` itself sleeps in epoll_pwait until it is killed.
    const stuck = await watch
      .first({ kind: 'd-state', timeout: ROUNDS * milliseconds, signal })
      .catch((error: unknown) => {
        if (isQmpilotError(error, 'TIMEOUT')) return undefined;
        throw error;
      });
    if (!stuck) return;
    // As tmux drew it: by now the kernel may have written over it.
    attach('screen-stuck.txt', screen.program.text());

    const before = await sample(vm);
    const pid = before.blocked.find(({ comm }) => comm.startsWith('iou-sqp'))?.pid;
    if (pid !== undefined) {
      const stacks = describeStacks(await stacksAsleep(vm, pid, signal));
      attach('stacks.txt', stacks);
      for (const line of stacks.split('\n')) if (/uv__io_poll|state D/.test(line)) note(line.trim());
    }

    await vm.console.press('C-b', ';', 'Enter');
    await screen.waitFor(/kill -9[^\n]*\n+[^\n]*project\]?# ?$/m, { signal, timeout: '10s' }).catch(() => {});
    const effects = describeKillEffect(before, await sample(vm));
    for (const { summary } of effects) note(summary);
    attach('kill.json', `${JSON.stringify(effects, null, 2)}\n`);

    await Promise.all([/^iou-sqp/, /^npm ci/].map((name) => hungTask(watch, name, signal)));
    attach('sysrq-w.txt', `${(await vm.sysrq('w', { signal })).join('\n')}\n`);
    attach('screen.txt', screen.text());
  },

  detect: {
    hungTask: true,
    dState: { comm: /npm|node|iou-sqp/ },
    poweroff: { timeout: '45s' },
  },
});
