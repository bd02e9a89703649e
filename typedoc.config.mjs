// The API reference: `pnpm run docs:api` writes docs/api, and fails on any warning. It copies docs/ beside the README, which links its pages.
import { readFileSync } from 'node:fs';

const GENERATED = ['qmp', 'guest-agent'].map((name) => `packages/core/src/qmp/schema/generated/${name}.ts`);
// QEMU's own types are reached by the names of commands and events (QmpReturn<'query-block'>): a page for each would bury the rest.
const schemaTypes = GENERATED.flatMap((file) => {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8');
  const tables = [...text.matchAll(/^export interface (?:QmpCommands|QmpEvents|GuestCommands) \{([^]*?)^\}/gm)]
    .map(([, body]) => body)
    .join('');
  const names = [...text.matchAll(/^export (?:interface|type) (\w+)/gm)]
    .map(([, name]) => name)
    .filter((name) => new RegExp(`\\b${name}\\b`).test(tables));
  // A union of one is shown as that one.
  return names.map(
    (name) => new RegExp(`^export type ${name} =\\s*\\|[^|;]* & (\\w+)\\);`, 'm').exec(text)?.[1] ?? name,
  );
});

// What `Snapshot`, `SnapshotPool` and `TakeOptions` are for a Vm.
const GENERIC = [
  'src/vm/snapshots/snapshot.ts:Snapshot',
  'src/vm/snapshots/pool.ts:SnapshotPool',
  'src/vm/snapshots/pool.ts:PoolTakeOptions',
  // `Wait` of the index is this type and the namespace of its makers.
  'src/vm/wait/wait.ts:Wait',
];

export default {
  name: '@qmpilot/core',
  entryPoints: [
    'index',
    'entries/vm',
    'entries/console',
    'entries/guests',
    'qmp/index',
    'detect/index',
    'statistics/index',
    'bisect/index',
    'queue/index',
    'entries/report',
    'shell/ssh/index',
    'testing/index',
    'vitest/index',
  ].map((file) => `packages/core/src/${file}.ts`),
  tsconfig: 'packages/core/tsconfig.json',
  out: 'docs/api',
  readme: 'packages/core/README.md',
  excludeInternal: true,
  excludePrivate: true,
  disableSources: true,
  intentionallyNotExported: [...new Set(schemaTypes), 'OutOfBandCommand', 'KERNEL_LOG_KINDS', ...GENERIC],
  // Fields and options are read where they are declared: those of QEMU's schema are 1300. What has a name of its own has to say what it is.
  requiredToBeDocumented: ['Class', 'Interface', 'Function', 'Method', 'TypeAlias', 'Variable', 'Enum'],
  validation: { notExported: true, invalidLink: true, notDocumented: true },
  treatWarningsAsErrors: true,
};
