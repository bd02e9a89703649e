import type { PreparedGuest } from '../guest.js';
import type { GuestImage } from '../image-cache.js';

// Without KVM, a busy host can delay timer interrupts so long that Linux panics while it boots: "IO-APIC + timer doesn't work!".
export const APPEND = 'root=/dev/vda rw console=ttyS0 loglevel=7 sysrq_always_enabled=1 no_timer_check';

/** An image as a guest, with its own kernel and no more than it has: two CPUs, 1 GiB, no network. */
export function imageGuest(image: GuestImage, name: string): PreparedGuest {
  return {
    name,
    key: image.key,
    kernelRelease: image.manifest.kernelRelease,
    kernel: { kernel: image.kernel, initrd: image.initrd, append: APPEND, fixedAddresses: true },
    disks: [{ id: 'root', file: image.disk, format: 'qcow2' }],
    cpus: 2,
    memoryMiB: 1024,
    network: 'none',
    virtioConsoles: ['hvc0', 'hvc1', 'hvc2', 'hvc3'],
    shell: 'hvc0',
    samplingShell: 'hvc1',
    spareConsoles: ['hvc2', 'hvc3'],
    guestAgent: true,
    login: { prompt: /root@[\w-]+:~# $/ },
  };
}
