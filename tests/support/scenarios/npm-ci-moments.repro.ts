import { debian, defineScenario, type AttemptContext, type Vm } from '@qmpilot/core';

/** Holds the exit status of `npm ci` once it has ended. */
const DONE = '/run/npm-ci-done';
/** In seconds: long for the lock of a ring, which is held for milliseconds. */
const STUCK = 3;

/** One `npm ci` of the guest, which goes on by itself: it ends, or a thread of its ring waits for the lock. */
async function judge(vm: Vm, { signal, fail }: Pick<AttemptContext, 'signal' | 'fail'>): Promise<void> {
  await using watch = vm.watch({ kernelLog: false, dState: { comm: /iou-sqp/, for: STUCK * 1000 } });
  const either = new AbortController();
  const end = AbortSignal.any([signal, either.signal]);
  const stuck = watch.first({ kind: 'd-state', timeout: '20m', signal: end }).then(() => true);
  const done = vm.waitForFile(DONE, { timeout: '20m', signal: end }).then(() => false);
  try {
    if (await Promise.race([stuck, done])) return fail('npm ci hangs');
  } finally {
    either.abort();
    await Promise.allSettled([stuck, done]);
  }
  await vm.expectOk(`[ "$(cat ${DONE})" = 0 ]`, { signal });
}

export default defineScenario({
  name: 'npm-ci-moments',
  guest: debian({ defect: 'io-uring-unlocked-flush' }),
  timeout: '30m',
  cache: true,
  async prepare(vm) {
    for (let round = 0; round < 2; round += 1)
      await vm.expectOk('npm ci', { cwd: '/root/project', env: { UV_USE_IO_URING: '0' }, timeout: '10m' });
    await vm.expectOk('/usr/lib/qmpilot/load-defect');
  },
  async attempt(vm, context) {
    const command = `cd /root/project && UV_USE_IO_URING=1 npm ci; echo $? >${DONE}.part; mv ${DONE}.part ${DONE}`;
    await vm.expectOk(`systemd-run --quiet --no-block sh -c '${command}'`, { signal: context.signal });
    await judge(vm, context);
  },
  fromCheckpoint: judge,
});
