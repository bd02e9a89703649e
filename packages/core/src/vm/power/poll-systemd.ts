import type { TaskRef } from '../../detect/finding.js';
import type { ShutdownDetector } from '../../detect/shutdown/shutdown-detector.js';
import { bashWord } from '../../shell/quote.js';
import type { Shell } from '../../shell/shell.js';
import { pause } from '../../util/async/deadline.js';

const POLL_MS = 2000;
const MAX_UNITS = 32;
/** Of each answer: a guest's, every two seconds. */
const MAX_OUTPUT_BYTES = 1 << 20;
const JOBS = 'systemctl list-jobs --no-legend --plain --full --no-pager';

/** systemd says over the console shell what the console shows shortened or not at all. Never throws. */
export async function pollSystemd(
  shell: Shell,
  detector: ShutdownDetector,
  now: () => number,
  signal: AbortSignal,
): Promise<void> {
  const known = new Map<string, string>();
  while (!signal.aborted) {
    const limits = { signal, patience: '20s', maxOutput: MAX_OUTPUT_BYTES } as const;
    try {
      const { stdout } = await shell.exec(JOBS, limits);
      const stopping = [...stdout.matchAll(/^ *\d+ +(\S{1,256}) +stop +running\b/gm)]
        .map((match) => match[1] ?? '')
        .slice(0, MAX_UNITS);
      const fresh = stopping.filter((unit) => !known.has(unit));
      if (fresh.length > 0) {
        const names = fresh.map(bashWord).join(' ');
        const shown = await shell.exec(
          `systemctl show -p Id,Description,Slice,ControlGroup,TimeoutStopUSec -- ${names}`,
          limits,
        );
        detector.units(shown.stdout);
        for (const unit of fresh) known.set(unit, controlGroup(shown.stdout, unit));
      }
      detector.jobs(stdout, now());
      for (const unit of stopping) {
        const group = known.get(unit);
        if (group) detector.processesOf(unit, parseTasks((await shell.exec(processesIn(group), limits)).stdout));
      }
    } catch {
      // systemd is gone by the last phase, and the shell with the guest.
    }
    await pause(POLL_MS, signal).catch(() => {});
  }
}

function controlGroup(shown: string, unit: string): string {
  const block = shown.split(/\n\n/).find((text) => text.split('\n').includes(`Id=${unit}`)) ?? '';
  return /^ControlGroup=(\/.*)$/m.exec(block)?.[1] ?? '';
}

/** Of the group and all below it; on either version of the cgroup tree. */
function processesIn(group: string): string {
  return [
    'd=/sys/fs/cgroup; [ -f $d/cgroup.controllers ] || d=$d/systemd',
    `find "$d"${bashWord(group)} -name cgroup.procs -exec cat {} + 2>/dev/null | head -n 64 | while read -r p; do`,
    `IFS= read -r c <"/proc/$p/comm" && printf '%s\\t%s\\n' "$p" "$c"; done 2>/dev/null`,
  ].join('\n');
}

function parseTasks(text: string): TaskRef[] {
  return [...text.matchAll(/^(\d{1,10})\t(.{0,64})$/gm)].map((match) => ({
    pid: Number(match[1]),
    comm: match[2] ?? '',
  }));
}
