import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { artifactFolder, folderName, type NamedTest } from './artifact-folder.js';

const file = { name: 'tests/power.test.ts' };
const named = (name: string, more: Partial<NamedTest> = {}): NamedTest => ({ id: name, name, file, ...more });

describe('the folder of a test’s artifacts', () => {
  it('has the file, the suites and the test in its name, also for a person', () => {
    const test = named('powers off', { suite: { name: 'nginx', suite: { name: 'services' } } });
    expect(artifactFolder('/out', test, [test])).toMatch(/^\/out\/tests\/power\.test\.ts\/services-nginx-powers-off$/);
  });

  it('keeps projects, repeats and retries apart', () => {
    const test = named('a', { file: { ...file, projectName: 'e2e' }, result: { retryCount: 2, repeatCount: 1 } });
    expect(artifactFolder('/out', test, [test])).toBe('/out/e2e/tests/power.test.ts/a-repeat1-retry2');
  });

  it('is another one for each of several tests with one name', () => {
    const tests = ['1', '2', '3'].map((id) => named('same', { id }));
    expect(tests.map((test) => artifactFolder('/out', test, tests))).toEqual(
      ['', '-2', '-3'].map((end) => `/out/tests/power.test.ts/same${end}`),
    );
  });

  it('is another one for names that only differ in what no file name may hold', () => {
    const tests = ['a/b', 'a\\b', 'a:b', 'a b'].map((name) => named(name));
    expect(new Set(tests.map((test) => artifactFolder('/out', test, tests))).size).toBe(4);
  });

  it('never leads out of its root, whatever tests and files are called', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom('..', '.', '../../etc', 'a/../..', '', '\0', '-rf', '~'),
    );
    fc.assert(
      fc.property(part, part, part, (name, path, project) => {
        const test = named(name, { file: { name: path, projectName: project } });
        const folder = artifactFolder('/out/root', test, [test]);
        expect(folder.startsWith('/out/root/')).toBe(true);
        for (const piece of folder.slice('/out/root/'.length).split('/'))
          expect(piece).toMatch(/^[\p{L}\p{N}_][\p{L}\p{N}._-]*$/u);
      }),
    );
  });

  it('has parts that a file system takes, of any length', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 2000 }),
        (name) => Buffer.byteLength(folderName(name)) <= 255 && folderName(name).length > 0,
      ),
    );
  });
});
