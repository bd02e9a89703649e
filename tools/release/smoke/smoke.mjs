// The packed packages in an empty project, installed by npm and used, on each Node.js version that is supported.
import { cpSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mustRun } from '../../../scripts/host.mjs';
import { nodeVersions } from './node-versions.mjs';

const PROJECT = join(dirname(fileURLToPath(import.meta.url)), 'project');

/** `peers`: the optional ones that an entry point needs. Gives the projects' folders. */
export async function smoke(packed, peers, folder) {
  const { debianImageKey } = await import('../../../packages/core/dist/guests/index.js');
  const imageKey = await debianImageKey({});
  const projects = [];
  for (const { version, node } of nodeVersions()) {
    const project = join(folder, `node-${version}`);
    cpSync(PROJECT, project, { recursive: true });
    const dependencies = {
      ...peers,
      ...Object.fromEntries(packed.map(({ manifest, tarball }) => [manifest.name, `file:${tarball}`])),
    };
    writeFileSync(
      join(project, 'package.json'),
      JSON.stringify({ name: 'smoke', private: true, type: 'module', dependencies }),
    );
    // npm is a program for `env node`: it runs on the version that comes first.
    const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
    // ssh2 would compile an optional part of itself, which it does without.
    mustRun(
      'npm',
      ['install', '--silent', '--no-audit', '--no-fund', '--prefer-offline', '--engine-strict', '--ignore-scripts'],
      { cwd: project, env },
    );
    mustRun(node, ['use.mjs', version, imageKey], { cwd: project, env });
    projects.push(project);
  }
  return projects;
}
