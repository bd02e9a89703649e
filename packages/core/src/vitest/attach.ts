import { isAbsolute, join, relative } from 'node:path';
import { recordArtifact, type RunnerTask, type RunnerTestCase, type TestArtifactBase } from 'vitest';
import { safeLine } from '../util/text/text-hygiene.js';
import type { Vm } from '../vm/vm.js';
import { artifactFolder } from './artifact-folder.js';
import { writeArtifacts } from './artifacts.js';
import type { VmEvidence } from './evidence.js';

/** The evidence of a failed test, as reporters get it; copies of the files are among Vitest's attachments. */
export interface VmArtifact extends TestArtifactBase {
  readonly type: 'qmpilot:vm';
  /** The folder that the files lie in. */
  readonly directory: string;
}

/** The test has failed by now, and was not meant to. */
export function hasFailed({ result, fails }: RunnerTestCase): boolean {
  return result?.state === 'fail' && fails !== true;
}

/** Writes the evidence of a failed test below `root` (relative to the project's root) and tells reporters and people where it is. */
export async function attachEvidence(test: RunnerTestCase, root: string, vm: Vm, evidence: VmEvidence): Promise<void> {
  const project = projectRoot(test);
  const directory = artifactFolder(isAbsolute(root) ? root : join(project, root), test, testsOf(test.file.tasks));
  const about = {
    test: test.fullTestName,
    file: test.file.name,
    errors: test.result?.errors?.map(({ message }) => message) ?? [],
  };
  const files = await writeArtifacts(directory, vm, evidence, about);
  test.meta.qmpilot = { artifacts: directory };
  // Vitest prints the message of an error, and not what else it has.
  for (const hint of hintsOf(test)) console.error(`qmpilot: ${safeLine(hint)}`);
  console.error(`qmpilot: the evidence of this failure is in ${shorter(directory, project)}`);
  await recordArtifact(test, {
    type: 'qmpilot:vm',
    directory,
    attachments: files.map(({ path, contentType }) => ({ path, contentType })),
  });
}

function hintsOf({ result }: RunnerTestCase): string[] {
  return (result?.errors ?? []).flatMap((error) =>
    'hint' in error && typeof error['hint'] === 'string' ? [error['hint']] : [],
  );
}

/** `file.name` is the file's path from there. */
function projectRoot({ file: { filepath, name } }: RunnerTestCase): string {
  return filepath.endsWith(name) ? filepath.slice(0, -name.length) : process.cwd();
}

function shorter(path: string, root: string): string {
  const below = relative(root, path);
  return below.startsWith('..') ? path : below;
}

function testsOf(tasks: readonly RunnerTask[]): RunnerTestCase[] {
  return tasks.flatMap((task) => (task.type === 'suite' ? testsOf(task.tasks) : [task]));
}
