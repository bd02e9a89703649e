import { randomBytes } from 'node:crypto';
import type { Shell } from '../shell/shell.js';

export interface SettleOptions {
  /** Where the guest's clock is set to; undefined leaves it. */
  readonly clock: Date | undefined;
  /** Left in the guest as /run/qmpilot/seed. */
  readonly seed: number;
}

/** x86-64 Linux: clock_settime; RNDRESEEDCRNG of linux/random.h, which takes what was mixed in before into use at once. */
const SYS_CLOCK_SETTIME = 227;
const RNDRESEEDCRNG = 0x5207;

/**
 * What a guest that was put back needs: forks of one snapshot have the same random numbers before them, and the time of the
 * snapshot. Debian's cloud kernel has no driver for QEMU's generation id, so the host brings the entropy. One program, for under
 * TCG each start costs 0.1 s; without perl the kernel takes the entropy into use within a minute.
 */
export async function settle(shell: Shell, { clock, seed }: SettleOptions): Promise<void> {
  const entropy = randomBytes(32).toString('hex');
  const [seconds, nanoseconds] = clock === undefined ? [-1, 0] : [Math.floor(clock.getTime() / 1000), (clock.getTime() % 1000) * 1_000_000];
  const perl = [
    'open F,">","/dev/urandom" or exit 1',
    `syswrite F,pack("H*","${entropy}")`,
    `ioctl(F,${RNDRESEEDCRNG},0) or exit 1`,
    ...(clock === undefined ? [] : [`syscall(${SYS_CLOCK_SETTIME},0,pack("qq",${seconds},${nanoseconds}))==0 or exit 1`]),
  ].join(';');
  const plain = [`printf %b '${entropy.replaceAll(/../g, '\\x$&')}' > /dev/urandom`, ...(clock === undefined ? [] : [`date -u -s @${seconds}.${String(nanoseconds).padStart(9, '0')}`])];
  await shell.exec(`mkdir -p /run/qmpilot && echo ${seed} > /run/qmpilot/seed; perl -e '${perl}' || { ${plain.join('; ')}; }`, { timeout: '20s' });
}
