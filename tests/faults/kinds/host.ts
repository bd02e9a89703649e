import { existsSync, rmSync } from 'node:fs';
import {
  bindReadOnly,
  fill,
  freeze,
  memoryGroup,
  mountSmall,
  unmount,
  type MemoryGroup,
} from '../../support/host-tools.js';
import type { FaultRun } from '../fault-run.js';
import { type FaultKind, inAttempt, inPrepare, type Injection } from './fault-kind.js';

/** Of the guest's 128 MiB file and what qmpilot wants free beside it, a little more. */
const RAM_MIB = 400;
const NO_ROOM =
  /NO_SPACE|no room|no space left|No space|ENOSPC|cannot write|cannot create a private folder|cannot record the pid|not enough space|SIGBUS|disk is full/;

const remove = (name: string) => (run: FaultRun) => rmSync(run.path(name, 'filler'), { force: true });
const filled = (name: string, mebibytes: number): Partial<FaultKind> => ({
  setUp: (run) => mountSmall(run.path(name), mebibytes),
  inject: async ({ run }: Injection) => {
    fill(run.path(name));
    return undefined;
  },
  repair: remove(name),
});

const groups = new Map<FaultRun, MemoryGroup>();
const outOfMemory = inAttempt(
  'no memory left: a cgroup with a limit',
  'out-of-memory',
  [0, 1, 125, 'SIGKILL'],
  /SIGKILL/,
);
/** The kernel chooses whom to kill; the controller has most of it. */
const withMemoryLimit: FaultKind = {
  ...outOfMemory,
  setUp(run, random) {
    const group = memoryGroup(`qmpilot-faults-${process.pid}-${Math.floor(random() * 1e9)}`, 600);
    if (typeof group === 'string') return group;
    groups.set(run, group);
    return undefined;
  },
  start: (run, random) => ({
    ...outOfMemory.start?.(run, random),
    before: `echo $$ > ${groups.get(run)?.join ?? '/dev/null'}`,
  }),
  repair: (run) => groups.get(run)?.remove(),
};

export const HOST_FAULTS: readonly FaultKind[] = [
  { name: 'no room under the run directory', exits: [1, 125], says: NO_ROOM, ...filled('out', 32) },
  { name: 'no room under the RAM directory', exits: [0, 1, 125], says: NO_ROOM, ...filled('ram', RAM_MIB) },
  { name: 'no room under TMPDIR', exits: [0, 1, 125], says: NO_ROOM, ...filled('tmp', 64) },
  inAttempt('no room for the overlay of a disk', 'fills-disk', [125], NO_ROOM, {
    timeout: '2m',
    setUp: (run) => mountSmall(run.path('tmp'), 16),
    check: (_, { code, stderr }) =>
      code === 125 && /no space left for the guest's disk/.test(stderr)
        ? []
        : [`the full disk was not noticed: ${code} ${stderr}`],
  }),
  inPrepare(
    'preparing, no room for the overlay',
    'fills-disk',
    [125],
    /no space left for the guest's disk.*the file system of .*\/tmp has/,
    {
      setUp: (run) => mountSmall(run.path('tmp'), 16),
    },
  ),
  inPrepare(
    'preparing, no room for RAM',
    'fills-ram',
    [125],
    /SIGBUS.*the file system of .*\/ram\/.* has no room for the guest's RAM/,
    {
      setUp: (run) => mountSmall(run.path('ram'), RAM_MIB),
      repair: remove('ram'),
    },
  ),
  inPrepare(
    'preparing, no room for the run directory',
    'fills-run-directory',
    [125],
    /cannot write .*\/out\/run.*: ENOSPC/,
    {
      setUp: (run) => mountSmall(run.path('out'), 32),
      repair: remove('out'),
    },
  ),
  {
    name: 'a read-only run directory',
    exits: [125],
    says: /cannot write .*: .*(EROFS|EACCES|EPERM|read-only)/,
    setUp: (run) => bindReadOnly(run.path('out')),
    repair: (run) => unmount(run.path('out')),
  },
  {
    name: 'the run directory becomes read-only',
    exits: [1, 125],
    says: /cannot write .*: .*(EROFS|EACCES|EPERM|read-only)/,
    async inject({ run }) {
      for (const path of [run.dir, `${run.dir}/attempts`]) {
        const why = existsSync(path) ? freeze(path, true) : undefined;
        if (why !== undefined) return why;
      }
      return undefined;
    },
    repair: (run) => {
      for (const path of [run.dir, `${run.dir}/attempts`]) if (existsSync(path)) freeze(path, false);
    },
  },
  {
    name: 'no descriptors left',
    exits: [0, 1, 2, 125],
    says: /EMFILE|too many open files|descriptors/i,
    start: (_, random) => ({ before: `ulimit -n ${26 + Math.floor(random() * 40)}` }),
  },
  withMemoryLimit,
];
