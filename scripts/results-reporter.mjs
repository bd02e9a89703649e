// A reporter of Vitest: writes the tests that ran, with the reason of each that failed, to the file that QMPILOT_TEST_RESULTS names.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { ROOT } from './host.mjs';

export default class ResultsReporter {
  onTestRunEnd(modules) {
    const results = modules.flatMap((module) => [
      ...[...module.children.allTests()].flatMap((test) => resultOf(module, test)),
      ...[module, ...module.children.allSuites()].flatMap((group) => failureOf(module, group)),
    ]);
    writeFileSync(process.env.QMPILOT_TEST_RESULTS, JSON.stringify(results));
  }
}

/** A file that does not load, or a hook that throws. */
function failureOf(module, group) {
  const errors = group.errors();
  if (errors.length === 0) return [];
  const title = group.fullName ?? '(file)';
  return { file: relative(ROOT, module.moduleId), title, ms: 0, ok: false, reason: errors.flatMap(linesOf) };
}

function resultOf(module, test) {
  const { state, errors = [] } = test.result();
  if (state !== 'passed' && state !== 'failed') return [];
  return {
    file: relative(ROOT, module.moduleId),
    title: test.fullName,
    ms: test.diagnostic()?.duration ?? 0,
    ok: state === 'passed',
    reason: errors.flatMap(linesOf),
  };
}

function linesOf({ name, message, diff, stacks }) {
  const text = stripVTControlCharacters([`${name}: ${message}`, diff].filter(Boolean).join('\n'));
  const place = stacks?.find(({ file }) => !file.includes('node_modules'));
  const at = place === undefined ? [] : [`at ${relative(ROOT, place.file)}:${place.line}`];
  return [...text.split('\n').filter((line) => line.trim() !== ''), ...at];
}
