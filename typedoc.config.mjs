// The API reference: `pnpm run docs:api` writes docs/api, and fails on any warning.
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

export default {
  name: '@qmpilot/core',
  entryPoints: ['.', 'qmp', 'detect', 'statistics', 'shell/ssh', 'vitest'].map(
    (folder) => `packages/core/src/${folder}/index.ts`,
  ),
  tsconfig: 'packages/core/tsconfig.json',
  out: 'docs/api',
  readme: 'packages/core/README.md',
  excludeInternal: true,
  excludePrivate: true,
  disableSources: true,
  intentionallyNotExported: [...new Set(schemaTypes), 'OutOfBandCommand'],
  // Fields and options are read where they are declared: those of QEMU's schema are 1300. What has a name of its own has to say what it is.
  requiredToBeDocumented: ['Class', 'Interface', 'Function', 'Method', 'TypeAlias', 'Variable', 'Enum'],
  validation: { notExported: true, invalidLink: true, notDocumented: true },
  treatWarningsAsErrors: true,
};
