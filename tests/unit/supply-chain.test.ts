import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const dependenciesOf = (path: string): [string, string][] => {
  const manifest: { readonly dependencies?: Readonly<Record<string, string>> } = JSON.parse(read(path));
  return Object.entries(manifest.dependencies ?? {});
};

describe('what is installed', () => {
  it('is pinned by the lockfile with a hash for each package, and comes from the registry only', () => {
    const lock = read('pnpm-lock.yaml');
    const resolutions = lock.match(/^ +resolution: .*$/gm) ?? [];
    expect(resolutions.length).toBeGreaterThan(100);
    expect(
      resolutions.filter((line) => !/^ +resolution: \{integrity: sha512-[A-Za-z0-9+/]{86}==\}$/.test(line)),
    ).toEqual([]);
    expect(lock).not.toMatch(/https?:\/\/|git\+|tarball:/);
  });

  it('runs no install script except that of esbuild', () => {
    const allowed = /^allowBuilds:\n((?: {2}.*\n)*)/m.exec(read('pnpm-workspace.yaml'))?.[1] ?? '';
    const granted = allowed
      .split('\n')
      .filter((line) => line.endsWith(': true'))
      .map((line) => line.trim());
    expect(granted).toEqual(['esbuild: true']);
    expect(read('pnpm-workspace.yaml')).toMatch(/^onlyBuiltDependencies:\n {2}- esbuild\n(?! {2}-)/m);
  });

  it('has an exact version for each dependency of the published packages', () => {
    const loose = ['packages/core/package.json', 'packages/cli/package.json']
      .flatMap(dependenciesOf)
      .filter(([, version]) => !/^(\d+\.\d+\.\d+|workspace:\*)$/.test(version));
    expect(loose).toEqual([]);
  });
});

describe('the guest image', () => {
  it('is fetched by apt, which checks signatures', () => {
    const folders = ['src/guests/build', 'src/guests/debian', 'src/guests/kernels', 'guest/build', 'guest/layer'];
    const sources = folders
      .flatMap((folder) => {
        const path = fileURLToPath(new URL(`../../packages/core/${folder}/`, import.meta.url));
        const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
        const files = names.filter((name) => /\.\w+$/.test(name) && !/\.(?:test|fixture)\.ts$/.test(name));
        return files.map((name) => read(`packages/core/${folder}/${name}`));
      })
      .join('\n');
    expect(sources).toContain('mmdebstrap');
    expect(sources).not.toMatch(/trusted=yes|AllowUnauthenticated|AllowInsecure|--force-yes|no-check-gpg|http:\/\//i);
  });

  it('has a hash in its lockfile for each npm package', () => {
    const { packages }: { readonly packages: Readonly<Record<string, { readonly integrity?: string }>> } = JSON.parse(
      read('packages/core/guest/npm-project/package-lock.json'),
    );
    const found = Object.entries(packages).filter(([path]) => path !== '');
    expect(found.length).toBeGreaterThan(40);
    expect(found.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))).toEqual([]);
  });
});
