/**
 * The loop of nodejs/node#55587, step for step: `npm ci` again and again in one tmux pane, `ps` in a second, `kill -9`
 * typed and waiting in a third. Linux 6.6.58 hangs there by itself. This guest has a stock Debian kernel and a module of ours
 * (packages/core/guest/modules/io-uring-lock-leak) which puts io_uring into the state that 6.6.58 reached: the lock of a
 * ring is locked for ever, at a random submission. `--guest nixos` runs it on the original kernel, with nothing of ours in it.
 */
import { fileURLToPath } from 'node:url';
import {
  debian,
  defineScenario,
  describeKillEffect,
  isQmpilotError,
  nixos,
  parseThreadSample,
  THREAD_SAMPLE_SCRIPT,
  type Vm,
} from '@qmpilot/core';

/** How long a thread has to be in D state to count. */
const STUCK_MS = 10_000;
/** How long the loop runs before an attempt counts as clean: a hang has to begin early enough to be seen as one. */
const LOOP_MS = 25_000;
const PARAMETERS = '/sys/module/io_uring_lock_leak/parameters';
const LOAD = '/usr/lib/qmpilot/load-defect';
/** A kernel that hangs by itself does so in its own time. */
const NATURAL_LOOP_MS = 60_000;

/** The guest of the bug report: built from the flake of this repository, unless a finished start script is named. */
const script = process.env['QMPILOT_NIXOS_SCRIPT'];
const original = script
  ? nixos({ script })
  : nixos({ flake: fileURLToPath(new URL('../..', import.meta.url)), attribute: 'nixos-vm-snapshot' });

/**
 * Chooses the odds so that about half of the attempts hang: how many submissions `npm ci` makes depends on the host,
 * from 600 to 8000 under TCG. With one leak in N / ln 2 submissions, half of all runs of N submissions see none.
 */
async function setOdds(vm: Vm): Promise<string> {
  const run = () => vm.expectOk('npm ci', { cwd: '/root/project', env: { UV_USE_IO_URING: '1' }, timeout: '2m' });
  // The first run fills the guest's page cache: after it each takes the same time.
  await run();
  if ((await vm.exec(`test -e ${LOAD}`)).exitCode !== 0)
    return 'this kernel has nothing of ours in it: it hangs by itself, or not at all';
  await vm.expectOk(`${LOAD} 4000000000 1`);
  const { durationMs } = await run();
  const seen = Number((await vm.expectOk(`cat ${PARAMETERS}/seen`)).stdout);
  const odds = Math.max(1, Math.round((seen * (LOOP_MS - STUCK_MS)) / durationMs / Math.LN2));
  await vm.expectOk(`echo ${odds} > /run/odds`);
  return `npm ci makes ${seen} submissions in ${(durationMs / 1000).toFixed(1)} s: the module leaks the lock at one in ${odds}`;
}

/**
 * The submission that leaks: the first success of tries at these odds, drawn from the attempt's seed. So the same seed hangs, or
 * does not, on a fast host as on a slow one.
 */
function leakAt(seed: number, odds: number): number {
  return Math.max(1, Math.ceil(-Math.log((seed + 1) / 2 ** 48) * odds));
}

const sample = async (vm: Vm) => parseThreadSample((await vm.samplingShell.expectOk(THREAD_SAMPLE_SCRIPT)).stdout);

export default defineScenario({
  name: 'npm-ci-hang',
  guest: debian({ defect: 'io-uring-lock-leak' }),
  guests: { nixos: original },
  timeout: '2m',
  // All that `prepare` leaves is in the guest: the next run begins there.
  cache: true,

  async prepare(vm, { note }) {
    // The kernel's own report comes after 120 s by default.
    await vm.expectOk('sysctl -q kernel.hung_task_timeout_secs=10 kernel.hung_task_check_interval_secs=5');
    await vm.console.type('stty rows 40 cols 110; cd /root/project\n');
    vm.console.screen.resize(110, 40);
    // In a scope of the user manager, as a tmux with systemd support would do by itself.
    await vm.console.type('systemd-run --user --scope --quiet tmux new-session -s repro\n');
    const { screen } = vm.console;
    await screen.waitFor(/\[repro\]/, { row: -1 });
    await screen.waitFor(/root@[\w.-]+:~\/project\]?# ?$/m);
    note(await setOdds(vm));
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

  async attempt(vm, { signal, seed, watch, note, attach }) {
    const { screen } = vm.console;
    // Without odds the kernel is on its own.
    const odds = Number((await vm.exec('cat /run/odds', { signal })).stdout);
    if (odds > 0) await vm.expectOk(`${LOAD} ${odds} ${seed} ${leakAt(seed, odds)}`, { signal });
    await vm.console.press('Enter');

    const stuck = await watch
      .first({ kind: 'd-state', timeout: odds > 0 ? LOOP_MS : NATURAL_LOOP_MS, signal })
      .catch((error: unknown) => {
        if (isQmpilotError(error, 'TIMEOUT')) return undefined;
        throw error;
      });
    if (odds > 0) {
      const { stdout } = await vm.exec(`cat ${PARAMETERS}/seen ${PARAMETERS}/fired`, { signal });
      const [seen, fired] = stdout.split('\n');
      note(`the module saw ${seen} submissions and leaked ${fired === '0' ? 'no lock' : 'a lock'}`);
    }
    if (!stuck) return;
    // As tmux drew it: by now the kernel may have written over it.
    attach('screen-stuck.txt', screen.program.text());

    const before = await sample(vm);
    await vm.console.press('C-b', ';', 'Enter');
    await screen.waitFor(/kill -9[^\n]*\n+[^\n]*project\]?# ?$/m, { signal, timeout: '10s' }).catch(() => {});
    const effects = describeKillEffect(before, await sample(vm));
    for (const { summary } of effects) note(summary);
    attach('kill.json', `${JSON.stringify(effects, null, 2)}\n`);

    await watch.first({ kind: 'hung-task', timeout: '60s', signal });
    attach('sysrq-w.txt', `${(await vm.sysrq('w', { signal })).join('\n')}\n`);
    attach('screen.txt', screen.text());
  },

  detect: {
    hungTask: true,
    dState: { comm: /npm|node|iou-sqp/, for: STUCK_MS },
    poweroff: { timeout: '45s' },
  },
});
