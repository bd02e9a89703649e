// Makes the captures in tests/fixtures/kernel-log/captured again: node tools/kernel-log/capture.mjs OUT [NAME...]
// Needs mmdebstrap, qemu-system-x86_64, qemu-img and root (or uidmap). Builds fail.c against Debian's cloud kernel, boots each way of
// failing under TCG, and keeps what the serial console says. A new capture's findings go into expected.json by hand, after a look.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('./', import.meta.url));
const SUITE = 'bookworm';
/** Seconds until the kernel has said it all; the stalls are noticed late. */
const WAYS = {
  healthy: 4,
  crash: 4,
  killinit: 4,
  poops: 4,
  oom: 30,
  ioerr: 8,
  hang: 20,
  hangq: 20,
  hungpanic: 20,
  kthread: 20,
  lockup: 40,
  rcu: 60,
  null: 4,
  page: 4,
  gpf: 4,
  exec: 4,
  ud: 4,
  divide: 4,
  bug: 4,
  warn: 4,
  warn_on: 4,
  panic: 4,
  refcount: 4,
  list: 4,
  atomic: 4,
  stack: 4,
  dblfree: 4,
  canary: 4,
};
/** Of the others, what the kernel prints before its first program starts is left out. */
const WHOLE = new Set(['healthy', 'panic']);
const LAST_OF_BOOT = /^.*Freeing unused kernel image \(initmem\)/m;

let inode = 0;
const [out, ...names] = process.argv.slice(2);
const unknown = names.filter((name) => !(name in WAYS));
if (out === undefined || unknown.length > 0) {
  console.error(
    unknown.length > 0
      ? `no such way to fail: ${unknown.join(', ')}`
      : 'usage: node tools/kernel-log/capture.mjs OUT [NAME...]',
  );
  console.error(`names: ${Object.keys(WAYS).join(' ')}`);
  process.exit(2);
}
mkdirSync(out, { recursive: true });
const work = mkdtempSync(join(tmpdir(), 'qmpilot-capture-'));
try {
  build();
  writeFileSync(join(work, 'initrd'), archive());
  execFileSync('qemu-img', ['create', '-q', '-f', 'raw', join(work, 'disk'), '64M']);
  for (const name of names.length > 0 ? names : Object.keys(WAYS)) await capture(name);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Kernel, modules and busybox, out of a temporary tree. */
function build() {
  const hooks = [
    `--customize-hook=copy-in ${join(HERE, 'fail.c')} ${join(HERE, 'Makefile')} /tmp`,
    '--customize-hook=chroot "$1" sh -c \'make -s -C /tmp KDIR=$(ls -d /usr/src/linux-headers-*-cloud-amd64 | tail -n 1)\'',
    '--customize-hook=mkdir "$1"/out; cp "$1"/boot/vmlinuz-* "$1"/out/vmlinuz; cp "$1"/bin/busybox "$1"/tmp/fail.ko "$1"/out; find "$1"/lib/modules -name "virtio*.ko" -exec cp {} "$1"/out \\;',
    `--customize-hook=sync-out /out ${work}`,
  ];
  execFileSync(
    'mmdebstrap',
    [
      '--variant=apt',
      '--include=linux-image-cloud-amd64,linux-headers-cloud-amd64,make,gcc,busybox-static',
      ...hooks,
      SUITE,
      '/dev/null',
    ],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
}

async function capture(name) {
  const file = resolve(out, `${name}.log`);
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      '-accel',
      'tcg,thread=multi',
      '-smp',
      '2',
      '-m',
      '256',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-no-reboot',
      '-serial',
      'stdio',
      '-kernel',
      join(work, 'vmlinuz'),
      '-initrd',
      join(work, 'initrd'),
      '-append',
      `console=ttyS0 sysrq_always_enabled=1 how=${name} linger=${WAYS[name]}`,
      ...(name === 'ioerr'
        ? [
            '-drive',
            `if=virtio,format=raw,file.driver=blkdebug,file.inject-error.0.event=read_aio,file.inject-error.0.errno=5,file.image.filename=${join(work, 'disk')}`,
          ]
        : []),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const stream = createWriteStream(file);
  qemu.stdout.pipe(stream);
  const timer = setTimeout(() => qemu.kill('SIGKILL'), (WAYS[name] + 30) * 1000);
  await Promise.all([once(qemu, 'exit'), once(stream, 'close')]);
  clearTimeout(timer);
  // A compiled path of this host is of no use to anybody.
  const log = readFileSync(file, 'latin1').replaceAll('/tmp/fail.c', 'fail/fail.c');
  writeFileSync(file, Buffer.from(WHOLE.has(name) ? log : log.slice(Math.max(0, log.search(LAST_OF_BOOT))), 'latin1'));
  console.log(`${file}: ${readFileSync(file).length} bytes`);
}

/** The initramfs: a cpio archive of the kind `newc`, Documentation/driver-api/early-userspace/buffer-format.rst. */
function archive() {
  const folder = (name) => entry(name, 0o040755, Buffer.alloc(0));
  const file = (name, from) => entry(name, 0o100755, readFileSync(from));
  const modules = readdirSync(work).filter((name) => /^virtio\w*\.ko$/.test(name));
  return Buffer.concat([
    folder('bin'),
    folder('modules'),
    file('bin/busybox', join(work, 'busybox')),
    file('init', join(HERE, 'init')),
    file('fail.ko', join(work, 'fail.ko')),
    ...modules.map((name) => file(`modules/${name}`, join(work, name))),
    entry('TRAILER!!!', 0, Buffer.alloc(0)),
  ]);
}

function entry(name, mode, content) {
  const fields = [(inode += 1), mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}${name}\0`);
  return Buffer.concat([padded(header), padded(content)]);
}

function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
