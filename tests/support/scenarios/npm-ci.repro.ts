import { debian, defineScenario, isQmpilotError } from '@qmpilot/core';

const ROUNDS = 2;
const MEASURED = '/run/npm-ci-ms';

/**
 * `npm ci` with io_uring: fails when one of its threads is in D state for half the time that a whole run takes without, or when it does
 * not end within five times that.
 */
export default defineScenario({
  name: 'npm-ci',
  guest: debian(),
  timeout: '30m',
  cache: true,
  async prepare(vm) {
    const run = () => vm.expectOk('npm ci', { cwd: '/root/project', env: { UV_USE_IO_URING: '0' }, timeout: '5m' });
    await run();
    await vm.expectOk(`echo ${Math.round((await run()).durationMs)} > ${MEASURED}`);
  },
  async attempt(vm, { signal, fail }) {
    const milliseconds = Number((await vm.expectOk(`cat ${MEASURED}`, { signal })).stdout);
    const options = { cwd: '/root/project', env: { UV_USE_IO_URING: '1' }, timeout: 5 * milliseconds };
    await using watch = vm.watch({ kernelLog: false, dState: { for: milliseconds / 2 } });
    for (let round = 0; round < ROUNDS; round += 1) {
      const stuck = new AbortController();
      const undo = watch.onFinding((finding) => stuck.abort(finding));
      try {
        await vm.expectOk('npm ci', { ...options, signal: AbortSignal.any([signal, stuck.signal]) });
      } catch (error) {
        if (stuck.signal.aborted || isQmpilotError(error, 'TIMEOUT')) return fail('npm ci does not end');
        throw error;
      } finally {
        undo();
      }
    }
  },
});
