import { fileURLToPath } from 'node:url';
import { debian } from '@qmpilot/core';
import { createVmTest } from '@qmpilot/core/vitest';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** A `test` whose tests start on a guest where the service under test is installed and runs. */
export const test = createVmTest({
  guest: debian(),
  async prepare(vm) {
    await vm.copyIn(here('hello.mjs'), '/opt/hello.mjs');
    await vm.copyIn(here('hello.service'), '/etc/systemd/system/hello.service');
    await vm.expectOk('systemctl daemon-reload && systemctl start hello');
    await vm.waitForPort(8080);
  },
});
