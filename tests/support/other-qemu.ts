import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The Debian suite whose QEMU is tested beside the host's own: trixie has 10.0, sid the newest. */
const OTHER_SUITE = process.env['QMPILOT_TEST_SUITE'] || 'trixie';

/** The folder of that QEMU; fetched by `npm run setup`, or now. Throws, with apt's message, where it cannot be fetched. */
export function otherQemu(): { readonly system: string; readonly image: string; readonly agent: string } {
  const script = fileURLToPath(new URL('../../tools/qmp-schema/fetch-qemu.sh', import.meta.url));
  const folder = execFileSync('sh', [script, OTHER_SUITE], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
  return {
    system: join(folder, 'qemu-system-x86_64'),
    image: join(folder, 'qemu-img'),
    agent: join(folder, 'qemu-ga'),
  };
}
