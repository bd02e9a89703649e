import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QmpilotError, type Scenario } from '@qmpilot/core';
import { hashScenario, isScenario } from '@qmpilot/core/internal';
import { createJiti } from 'jiti';

export interface LoadedScenario {
  readonly scenario: Scenario;
  /** For run.json: the file, and the hash of its text and of its relative imports. */
  readonly source: { readonly file: string; readonly sha256: string };
}

const ENTRIES = [
  '',
  '/vm',
  '/console',
  '/guests',
  '/qmp',
  '/detect',
  '/statistics',
  '/bisect',
  '/queue',
  '/report',
  '/ssh',
  '/testing',
];

/** Reads what identifies a scenario file, without loading it. @throws {USAGE} when it cannot be read */
export async function readScenarioSource(name: string): Promise<LoadedScenario['source']> {
  const file = resolve(name);
  let text: Buffer;
  try {
    text = await readFile(file);
  } catch (cause) {
    throw new QmpilotError('USAGE', `cannot read the scenario ${name}`, {
      cause,
      hint: 'check the path; a scenario is a file such as x.repro.ts',
    });
  }
  return { file, sha256: await hashScenario(file, text) };
}

/**
 * Loads a scenario file, TypeScript or JavaScript. `@qmpilot/core` in it is the library of this command.
 * @throws {USAGE} when the file cannot be read
 * @throws {SCENARIO} when it does not compile, throws, or exports no scenario as default
 */
export async function loadScenario(name: string): Promise<LoadedScenario> {
  const source = await readScenarioSource(name);
  const alias = Object.fromEntries(
    ENTRIES.map((entry) => [`@qmpilot/core${entry}`, fileURLToPath(import.meta.resolve(`@qmpilot/core${entry}`))]),
  );
  let exported: unknown;
  try {
    exported = await createJiti(import.meta.url, { alias, moduleCache: false, fsCache: false }).import(source.file, {
      default: true,
    });
  } catch (cause) {
    if (cause instanceof QmpilotError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new QmpilotError(
      'SCENARIO',
      `cannot load the scenario ${name}: ${message.split('\n').slice(0, 6).join(' ')}`,
      { cause, hint: 'check it with tsc, which shows all errors' },
    );
  }
  if (!isScenario(exported)) {
    throw new QmpilotError('SCENARIO', `${name} exports no scenario`, {
      hint: 'export default defineScenario({ guest, attempt }) of @qmpilot/core',
    });
  }
  return { scenario: exported, source };
}
