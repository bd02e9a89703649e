import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly description: string;
  readonly keywords: readonly string[];
  readonly engines: { readonly node: string };
  readonly files: readonly string[];
  readonly publishConfig?: { readonly executableFiles?: readonly string[] };
  readonly exports?: Readonly<Record<string, unknown>>;
}
const manifestOf = (folder: string) => JSON.parse(read(`${folder}/package.json`)) as Manifest;
const root = manifestOf('.');
const core = manifestOf('packages/core');

describe.each(['packages/core', 'packages/cli'])('the manifest of %s', (folder) => {
  const manifest = manifestOf(folder);

  it('says what the package is, under which license, and for which Node.js', () => {
    expect(manifest.description.length).toBeGreaterThan(20);
    expect(manifest.keywords.length).toBeGreaterThan(3);
    expect(manifest.license).toMatch(/^Apache-2\.0/);
    expect(manifest.engines).toEqual(root.engines);
    expect(manifest.version).toBe(core.version);
  });

  it('names files that are there, and has the license and a README beside it', () => {
    // The build makes dist; docs is copied when the package is packed.
    const made = ['dist', 'docs'];
    for (const file of [...manifest.files.filter((name) => !made.includes(name)), 'README.md'])
      expect(existsSync(join(ROOT, folder, file)), file).toBe(true);
    expect(read(`${folder}/LICENSE`)).toBe(read('LICENSE'));
  });
});

describe('the guest in the package', () => {
  const guest = join(ROOT, 'packages/core/guest');
  const files = readdirSync(guest, { recursive: true, encoding: 'utf8' }).filter((file) =>
    statSync(join(guest, file)).isFile(),
  );

  it('lists each program in publishConfig.executableFiles, as pnpm packs no other mode', () => {
    const programs = files.filter((file) => (statSync(join(guest, file)).mode & 0o111) !== 0);
    expect(core.publishConfig?.executableFiles?.toSorted()).toEqual(programs.map((file) => `guest/${file}`).toSorted());
  });

  it('has no file under a name that npm leaves out of a package', () => {
    expect(
      files.filter((file) => /(^|\/)(\.npmrc|\.gitignore|\.git|\.DS_Store|node_modules|npm-debug\.log)$/.test(file)),
    ).toEqual([]);
  });
});

it('scenario files find every entry point of core that works outside of Vitest', () => {
  const entries = Object.keys(core.exports ?? {})
    .map((entry) => entry.slice(1))
    .filter((entry) => !entry.endsWith('.json') && !['/vitest', '/internal'].includes(entry));
  const listed = /const ENTRIES = \[([^\]]*)\];/.exec(read('packages/cli/src/load-scenario.ts'))?.[1] ?? '';
  expect([...listed.matchAll(/'([^']*)'/g)].map(([, entry = '']) => entry).toSorted()).toEqual(entries.toSorted());
});

it('@qmpilot/core exports at most 90 names, none twice', () => {
  const exported = [...read('packages/core/src/index.ts').matchAll(/^export (?:type )?\{([^}]*)\} from/gm)];
  const names = exported.flatMap(([, list = '']) =>
    list
      .split(',')
      .map((name) => name.trim().split(' as ').at(-1) ?? '')
      .filter((name) => name !== ''),
  );
  expect(read('packages/core/src/index.ts')).not.toContain('export *');
  expect(names.length).toBe(new Set(names).size);
  expect(names.length).toBeGreaterThan(60);
  expect(names.length).toBeLessThanOrEqual(90);
});
