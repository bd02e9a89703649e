import { debian, defineScenario } from '@qmpilot/core';

/** The first kernel with the failure: `linux-image-6.1.0-50-cloud-amd64`. */
const { FAILS_FROM = '' } = process.env;
const abiOf = (text: string) => Number(/6\.1\.0-(\d+)/.exec(text)?.[1]);

export default defineScenario({
  name: 'kernel-release',
  cache: true,
  guest: debian(),
  async attempt(vm, { fail, signal }) {
    const { stdout } = await vm.expectOk('uname -r', { signal });
    if (abiOf(stdout) >= abiOf(FAILS_FROM)) fail('this kernel is too new');
  },
});
