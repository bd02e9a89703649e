/**
 * A machine of your own for a bug of your own: another release of Debian, packages, a setup script, a second drive, and a port that the
 * host can reach. The question here: is a page served as it was written, also from a snapshot, a restore and a fork, while the guest is
 * short of memory? Ends with 1 when it is not.
 *
 *     check.ts [KERNEL]
 */
import { fileURLToPath } from 'node:url';
import { boot, debian, type Vm } from '@qmpilot/core';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const [kernel] = process.argv.slice(2);

const guest = debian({
  suite: 'trixie',
  packages: ['nginx', 'stress-ng'],
  files: { '/etc/nginx/sites-available/default': path('site.conf') },
  setup: path('setup.sh'),
  drives: [{ size: '512M' }],
  ports: [80],
  ...(kernel !== undefined && { kernel }),
});

/** The page as it comes through the forwarded port. */
async function page(vm: Vm): Promise<string> {
  const { url } = await vm.forward(80);
  const response = await fetch(`${url}/page`, { headers: { connection: 'close' } });
  return (await response.text()).trim();
}

let failed = false;
function check(when: string, seen: string, wanted: string): void {
  console.log(`${when}: ${seen}`);
  failed ||= seen !== wanted;
}

await using vm = await boot(guest, { onProgress: (line) => console.error(line) });
await vm.waitForUnit('nginx.service');
await vm.expectOk('stress-ng --vm 1 --vm-bytes 40% --timeout 10m > /dev/null 2>&1 & echo one > /srv/www/page; sync');
console.log(
  `${(await vm.expectOk('findmnt -no SOURCE,FSTYPE /srv/www')).stdout.trim()}, Linux ${(await vm.expectOk('uname -r')).stdout.trim()}`,
);
check('as written', await page(vm), 'one');

await vm.snapshot('one');
check('after the snapshot', await page(vm), 'one');

await vm.expectOk('echo two > /srv/www/page; sync');
check('changed', await page(vm), 'two');

await using fork = await vm.fork('one');
check('in a fork', await page(fork), 'one');

await vm.restore('one');
check('after the restore', await page(vm), 'one');

process.exitCode = failed ? 1 : 0;
