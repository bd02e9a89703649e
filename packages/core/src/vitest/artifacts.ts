import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Vm } from '../vm/vm.js';
import { commandsLog } from './commands-log.js';
import type { VmEvidence } from './evidence.js';

export interface ArtifactFile {
  readonly name: string;
  readonly contentType: string;
  readonly path: string;
}

const TYPES = {
  'console.log': 'text/plain',
  'screen.txt': 'text/plain',
  'screen.svg': 'image/svg+xml',
  'findings.json': 'application/json',
  'commands.log': 'text/plain',
  'events.jsonl': 'application/jsonl',
  'about.json': 'application/json',
  'screenshot.png': 'image/png',
} as const;

type Name = keyof typeof TYPES;

/** A guest that hangs, or a QEMU that died, must not delay the tests. */
const SCREENSHOT_TIMEOUT = '5s';

/** Writes the evidence of a VM into `directory`, and removes the files of an earlier failure of the same test. */
export async function writeArtifacts(
  directory: string,
  vm: Vm,
  evidence: VmEvidence,
  about: Readonly<Record<string, unknown>>,
): Promise<ArtifactFile[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await Promise.all(Object.keys(TYPES).map((name) => rm(join(directory, name), { force: true })));
  const { screen } = vm.console;
  await screen.drawn();
  const picture = await vm.screenshot({ timeout: SCREENSHOT_TIMEOUT }).catch(() => undefined);
  const contents: Readonly<Partial<Record<Name, string | Uint8Array>>> = {
    'console.log': evidence.console,
    'screen.txt': `${screen.text()}\n`,
    'screen.svg': screen.toSvg(),
    'findings.json': json(evidence.findings()),
    'commands.log': commandsLog(evidence.events),
    'events.jsonl': evidence.events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    'about.json': json({ ...about, seed: vm.seed, ...vm.facts }),
    ...(picture && { 'screenshot.png': picture }),
  };
  const names = Object.keys(TYPES).filter((name): name is Name => name in contents);
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      await writeFile(path, contents[name] ?? '', { mode: 0o600 });
      return { name, contentType: TYPES[name], path };
    }),
  );
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
