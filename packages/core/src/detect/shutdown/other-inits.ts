import type { ShutdownPhase } from './shutdown-phase.js';

interface InitWords {
  readonly literal: string;
  readonly pattern: RegExp;
  readonly phase: ShutdownPhase;
}

/** `[ ok ] `, `[....] ` of sysvinit scripts, ` * ` of OpenRC, `=> ` of Void's runit scripts. */
const MARK = '^ ?(?:\\[[ .a-z]{2,6}\\] |\\* |=> )?';

/** Messages of busybox init, sysvinit, OpenRC and runit during a shutdown; a running system may print some of them as well. */
const WORDS: readonly InitWords[] = [
  // busybox init/init.c, util-linux and systemd's wall messages
  { literal: 'The system is going down', pattern: /The system is going down/, phase: 'requested' },
  { literal: 'The system will ', pattern: /The system will (?:power off|reboot|halt)/, phase: 'requested' },
  { literal: 'System is ', pattern: /System is (?:powering down|rebooting|halting)/, phase: 'requested' },
  { literal: ' to all processes', pattern: /^(?:Sent|Sending) SIG(?:TERM|KILL) to all processes/, phase: 'final-kill' },
  { literal: 'Requesting system ', pattern: /^Requesting system (?:poweroff|reboot|halt)/, phase: 'power-off' },
  // sysvinit and Debian's scripts for it
  { literal: 'INIT: Switching to runlevel: ', pattern: /^INIT: Switching to runlevel: [06]/, phase: 'units' },
  {
    literal: ' all remaining processes',
    pattern: new RegExp(`${MARK}(?:Asking all remaining processes to terminate|Killing all remaining processes)`),
    phase: 'final-kill',
  },
  {
    literal: 'filesystems...',
    pattern: new RegExp(`${MARK}Unmounting (?:temporary|local|weak) filesystems\\.\\.\\.`),
    phase: 'unmount',
  },
  { literal: 'Will now ', pattern: new RegExp(`${MARK}Will now (?:halt|restart)`), phase: 'power-off' },
  // OpenRC: runscripts, killprocs, mount-ro
  { literal: '* Stopping ', pattern: /^ ?\* Stopping \S.{0,120} \.\.\./, phase: 'units' },
  {
    literal: ' remaining processes ',
    pattern: /^ ?\* (?:Terminating|Killing) remaining processes /,
    phase: 'final-kill',
  },
  {
    literal: 'Remounting remaining filesystems',
    pattern: /^ ?\* Remounting remaining filesystems read-only/,
    phase: 'unmount',
  },
  { literal: 'Unmounting', pattern: /^ ?\*  {0,3}Unmounting (?:filesystems|\/\S{0,255} \.\.\.)/, phase: 'unmount' },
  // dracut's shutdown script, in the initramfs to which systemd-shutdown hands over
  { literal: 'dracut Warning: ', pattern: /^dracut Warning: Killing all remaining processes/, phase: 'final-kill' },
  {
    literal: 'dracut Warning: ',
    pattern: /^dracut Warning: (?:Unmounted|Cannot umount|Unmounting) \//,
    phase: 'unmount',
  },
  { literal: 'Rebooting.', pattern: /^Rebooting\.$/, phase: 'power-off' },
  { literal: 'Powering off.', pattern: /^Powering off\.$/, phase: 'power-off' },
  { literal: 'Halting.', pattern: /^Halting\.$/, phase: 'power-off' },
  // runit and Void's stage 3
  { literal: '- runit: ', pattern: /^- runit: sending (?:TERM|KILL) signal to all processes/, phase: 'final-kill' },
  { literal: '- runit: ', pattern: /^- runit: (?:power off|reboot|system halt)/, phase: 'power-off' },
  { literal: 'enter stage: /etc/runit/3', pattern: /^- runit: enter stage: \/etc\/runit\/3/, phase: 'units' },
  { literal: '=> ', pattern: /^=> Waiting for services to stop/, phase: 'units' },
  { literal: '=> ', pattern: /^=> Sending (?:TERM|KILL) signal to processes/, phase: 'final-kill' },
  { literal: '=> ', pattern: /^=> Unmounting filesystems/, phase: 'unmount' },
];

export const OTHER_INIT_LITERALS: readonly string[] = [...new Set(WORDS.map(({ literal }) => literal))];

/** Returns the phase that a line of another init than systemd reports. */
export function readOtherInit(line: string): ShutdownPhase | undefined {
  return WORDS.find(({ literal, pattern }) => line.includes(literal) && pattern.test(line))?.phase;
}
