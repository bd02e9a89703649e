import { debian, defineScenario, isQmpilotError } from '@qmpilot/core';

const ROUNDS = 2;
const MEASURED = '/run/npm-ci-ms';

/** `npm ci` with io_uring: fails when it does not end within five times the time that it takes without. */
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
    const options = { cwd: '/root/project', env: { UV_USE_IO_URING: '1' }, timeout: 5 * milliseconds, signal };
    for (let round = 0; round < ROUNDS; round += 1)
      try {
        await vm.expectOk('npm ci', options);
      } catch (error) {
        if (!isQmpilotError(error, 'TIMEOUT')) throw error;
        return fail('npm ci does not end');
      }
  },
});
