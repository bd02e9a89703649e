import type { LeftProcess, TaskRef } from '../finding.js';
import { union } from '../union.js';
import { OTHER_INIT_LITERALS, readOtherInit } from './other-inits.js';
import type { ShutdownPhase } from './shutdown-phase.js';
import { parseTimeSpan } from './time-span.js';

/** The meaning of one console line for a shutdown. */
export type ShutdownLine =
  | { readonly type: 'phase'; readonly phase: ShutdownPhase; readonly sure: boolean; readonly by?: 'other-init' }
  | {
      readonly type: 'job';
      /** Unit, where the line names it; else `description`. Either may be shortened by an ellipsis. */
      readonly unit?: string;
      readonly description?: string;
      readonly job: string;
      readonly elapsed: number;
      readonly limit?: number;
    }
  | {
      readonly type: 'unit';
      readonly verb: 'stopping' | 'stopped';
      readonly unit?: string;
      readonly description: string;
      readonly sure: boolean;
    }
  /** `all`: these and no others are left. */
  | { readonly type: 'processes'; readonly left: readonly LeftProcess[]; readonly all: boolean }
  /** A mount or device that is being released (`failed`: could not be). */
  | { readonly type: 'resource'; readonly name: string; readonly failed: boolean }
  /** systemd gives up waiting for a unit to stop by itself. */
  | { readonly type: 'unit-timeout'; readonly unit: string }
  | { readonly type: 'unit-kill'; readonly unit: string; readonly task: TaskRef }
  | { readonly type: 'end'; readonly how: 'power-off' | 'reboot' | 'halt' }
  | { readonly type: 'panic'; readonly message: string }
  | { readonly type: 'boot' };

/** Every line that matters holds one of these. */
export const SHUTDOWN_LITERALS: readonly string[] = [
  ' job is running for ',
  ' running (',
  'Stopping ',
  'Stopped ',
  'Unmounted ',
  'Deactivated swap ',
  'Closed ',
  'Removed slice ',
  'Stopping timed out',
  'Killing process ',
  'Failed unmounting ',
  'Failed deactivating ',
  'Timed out ',
  'Reached target ',
  'systemd-shutdown[',
  'shutdown[1]',
  'reboot: ',
  'Kernel panic - not syncing',
  'Starting new kernel',
  'Linux version ',
  ...OTHER_INIT_LITERALS,
];

// systemd src/core/manager.c, manager_print_jobs_in_progress().
const JOB_BY_UNIT = /Job ([^ /]{1,256})\/([a-z-]{1,24}) running \(([^()/]{1,40}) \/ ([^()/]{1,40})\)/;
const JOB_BY_DESCRIPTION = /A ([a-z-]{1,24}) job is running for (.{1,256}?) \(([^()/]{1,40}) \/ ([^()/]{1,40})\)/;
const STAMP = /\[ {0,12}\d{1,10}\.\d{6}\]/;
// The messages of src/core/{service,scope,mount,swap,socket,slice}.c for a job that has ended, well or not.
const UNIT_STATUS =
  /(?:^|\] {0,3}|: | {3})(Stopping|(?:Stopped|Unmounted|Deactivated swap|Closed|Removed slice)(?: \(with error\))?|Failed (?:unmounting|deactivating swap)|Timed out (?:stopping|unmounting|deactivating swap))(?: target)? (.{1,256}?)(?:\.\.\.|\.)$/;
const UNIT_NAME =
  /^([^ ]{1,256}\.(?:service|scope|slice|target|mount|automount|socket|swap|timer|path|device)) - (.{1,256})$/;
const RUN_STATE_TARGET = /^(?:multi-user\.target|graphical\.target|Multi-User System|Graphical Interface)/;
// systemd src/shutdown/shutdown.c.
const SHUTDOWN_TOOL = /(?:^|[\] ])(?:systemd-)?shutdown(?:\[\d{1,10}\])?: (.{1,300})$/;
const WAITING = /^(?:Waiting for process(?:es)?: |Sending SIGKILL to PID )(.{1,256})$/;
const UNMOUNT_STEP = new RegExp(
  `^${union([
    'Unmounting',
    'Deactivating',
    'Detaching',
    'Stopping (?:MD|DM)',
    'All ',
    'Could not',
    'Failed to (?:unmount|finalize|detach|remount|deactivate|stop)',
    'Not all',
    'Unable to finalize',
    'Remounting',
  ])}`,
);
/** A comm may be in parentheses of its own: `812 ((sd-pam))`. */
const PROCESS = /(\d{1,10}) \((\([^()]{1,64}\)|[^()]{1,64})\)/g;
// Before systemd 250, `Shutdown` and `Power-Off`.
const DOWN_TARGET =
  /Reached target (?:(?:poweroff|reboot|halt|kexec|shutdown|final|umount)\.target|(?:System )?(?:Power[ -]Off|Reboot|Halt|Shutdown)\.|Final Step|Late Shutdown Services|Unmount All Filesystems)/;

/** Without the full stop behind them. */
const LAST_TARGET =
  /Reached target (?:(?:poweroff|reboot|halt|kexec|shutdown)\.target|(?:System )?(?:Power[ -]Off|Reboot|Halt|Shutdown)\.)/;
const RESOURCE =
  /^(?<failed>Could not|Failed to|Not all)?.{0,24}?(?:[uU]nmount(?:ing)?|[dD]etach(?:ing)?|[dD]eactivat(?:e|ing)|[rR]emount(?:ing)?|[sS]top(?:ping)?)(?: (?:loopback|loop|swap|DM|MD|device-mapper|disk))? '?(?<name>\/[^ ':,]{1,255})'?(?<late> - timed out)?/;
const UNIT = '([^ :]{1,255}\\.(?:service|scope|slice|mount|socket|swap))';
const UNIT_TIMEOUT = new RegExp(`(?:^|[ \\]])${UNIT}: (?:Stopping|State '[\\w-]{1,32}') timed out`);
const UNIT_KILL = new RegExp(
  `(?:^|[ \\]])${UNIT}: Killing process (\\d{1,10}) \\((\\([^()]{1,64}\\)|[^()]{1,64})\\) with signal`,
);

export function readShutdownLine(line: string): ShutdownLine[] {
  const job = readJob(line);
  if (job !== undefined) return [job];
  const tool = SHUTDOWN_TOOL.exec(line);
  if (tool !== null) return readShutdownTool(tool[1] ?? '');
  return [...readKernel(line), ...readInit(line)];
}

function readJob(line: string): ShutdownLine | undefined {
  const byUnit = JOB_BY_UNIT.exec(line);
  const match = byUnit ?? JOB_BY_DESCRIPTION.exec(line);
  // A kernel message that cut into the line would be taken for a part of the name.
  if (match === null || STAMP.test(match[0])) return undefined;
  const elapsed = parseTimeSpan(match[3] ?? '');
  if (elapsed === undefined) return undefined;
  const limit = parseTimeSpan(match[4] ?? '');
  return {
    type: 'job',
    ...(byUnit === null ? { description: match[2] ?? '' } : { unit: match[1] ?? '' }),
    job: (byUnit === null ? match[1] : match[2]) ?? 'stop',
    elapsed,
    ...(limit === undefined ? {} : { limit }),
  };
}

function readShutdownTool(message: string): ShutdownLine[] {
  const waiting = WAITING.exec(message);
  if (waiting !== null) {
    return [
      { type: 'phase', phase: 'final-kill', sure: true },
      { type: 'processes', left: leftProcesses(waiting[1] ?? ''), all: message.startsWith('Waiting') },
    ];
  }
  if (/^(?:Powering off|Rebooting|Halting system)/.test(message))
    return [{ type: 'phase', phase: 'power-off', sure: true }];
  if (UNMOUNT_STEP.test(message)) {
    const { name, failed, late } = RESOURCE.exec(message)?.groups ?? {};
    return [
      { type: 'phase', phase: 'unmount', sure: true },
      ...(name === undefined
        ? []
        : [
            {
              type: 'resource',
              name: name.replace(/\.$/, ''),
              failed: failed !== undefined || late !== undefined,
            } as const,
          ]),
    ];
  }
  if (/^(?:Sending SIG|Syncing filesystems)/.test(message)) return [{ type: 'phase', phase: 'final-kill', sure: true }];
  return [];
}

/** `812 (bash), 900 (sleep)`; before systemd 247 `bash, sleep`. */
function leftProcesses(text: string): LeftProcess[] {
  const numbered = [...text.matchAll(PROCESS)].map(([, pid, comm]) => ({ pid: Number(pid), comm: comm ?? '' }));
  const named = () =>
    text
      .replace(/\.{0,3}$/, '')
      .split(', ')
      .filter((comm) => comm !== '' && !/^\d+$/.test(comm))
      .map((comm) => ({ comm }));
  return (numbered.length > 0 ? numbered : named()).slice(0, 32);
}

function readKernel(line: string): ShutdownLine[] {
  const panic = /Kernel panic - not syncing(?:: (.{0,200}))?/.exec(line);
  if (panic !== null) return [{ type: 'panic', message: panic[1] ?? '' }];
  // kernel/reboot.c
  const end =
    /(?:^|\] )reboot: (Power down|Restarting system|System halted|Power off not available: System halted)/.exec(
      line,
    )?.[1];
  if (end !== undefined) {
    return [{ type: 'end', how: end === 'Power down' ? 'power-off' : end === 'Restarting system' ? 'reboot' : 'halt' }];
  }
  if (/(?:^|\] )(?:kexec_core: )?Starting new kernel/.test(line)) return [{ type: 'end', how: 'reboot' }];
  return /(?:^|\] )Linux version \d/.test(line) ? [{ type: 'boot' }] : [];
}

/** Units of systemd, and what other inits print. */
function readInit(line: string): ShutdownLine[] {
  const late = UNIT_TIMEOUT.exec(line)?.[1];
  if (late !== undefined) return [{ type: 'unit-timeout', unit: late }];
  const killed = UNIT_KILL.exec(line);
  if (killed !== null)
    return [{ type: 'unit-kill', unit: killed[1] ?? '', task: { pid: Number(killed[2]), comm: killed[3] ?? '' } }];
  const status = UNIT_STATUS.exec(line);
  if (status !== null) {
    const text = status[2] ?? '';
    const named = UNIT_NAME.exec(text);
    return [
      {
        type: 'unit',
        verb: status[1] === 'Stopping' ? 'stopping' : 'stopped',
        ...(named === null ? {} : { unit: named[1] ?? '' }),
        description: named?.[2] ?? text,
        sure: status[1] === 'Stopped' && RUN_STATE_TARGET.test(text),
      },
    ];
  }
  if (LAST_TARGET.test(line)) return [{ type: 'phase', phase: 'units-stopped', sure: true }];
  if (DOWN_TARGET.test(line)) return [{ type: 'phase', phase: 'units', sure: true }];
  const mount = /^ ?\*  {0,3}Unmounting (\/\S{0,255}) \.\.\./.exec(line)?.[1];
  const phase = readOtherInit(line);
  if (phase === undefined) return [];
  const said: ShutdownLine = { type: 'phase', phase, sure: false, by: 'other-init' };
  return mount === undefined ? [said] : [said, { type: 'resource', name: mount, failed: false }];
}
