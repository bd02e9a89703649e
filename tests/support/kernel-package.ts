import { execFileSync } from 'node:child_process';
import { fetchPackage } from '../../packages/core/src/guests/kernels/fetch-package.js';

/** Fetches the kernel package that a metapackage such as linux-image-cloud-amd64 depends on, from the mirror that images come from. */
export async function fetchKernelPackage(metapackage: string, suite: string, work: string): Promise<string> {
  const options = { suite, work, signal: undefined };
  const depends = execFileSync('dpkg-deb', ['-f', await fetchPackage(metapackage, options), 'Depends'], {
    encoding: 'utf8',
  });
  const name = /^linux-image-[\w.+~-]+/.exec(depends)?.[0];
  if (name === undefined) throw new Error(`${metapackage} depends on no kernel: ${depends}`);
  return fetchPackage(name, options);
}
