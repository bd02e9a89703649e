import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError } from '../../errors.js';
import { fetchPackage } from '../../guests/kernels/fetch-package.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Builder, BuildRequest } from '../builds/builder.js';
import type { BuildLine } from '../journal.js';

/** The file of a package in the directory of its build. */
export const PACKAGE_FILE = 'package.deb';

/** Fetches the packages of kernels: the build of a kernel is its package. */
export class PackageBuilds implements Builder {
  readonly #folder: string;
  readonly #suite: string;

  constructor({ dir, suite }: { readonly dir: string; readonly suite: string }) {
    this.#folder = join(dir, 'builds');
    this.#suite = suite;
  }

  directory(kernel: string): string {
    return join(this.#folder, kernel);
  }

  async recover(): Promise<void> {}

  /** @throws {GUEST_BUILD} {TOOL_MISSING} {NO_SPACE} when an end cannot be fetched, {ABORTED} */
  async build(kernel: string, { isEnd, signal }: BuildRequest): Promise<BuildLine> {
    const begun = monotonicMs();
    const line = (outcome: { readonly id: string } | { readonly reason: string }): BuildLine => ({
      ...{ type: 'build', commit: kernel, ...outcome, ms: Math.round(monotonicMs() - begun) },
    });
    const out = this.directory(kernel);
    await removeDirectory(out);
    try {
      const file = await fetchPackage(kernel, { suite: this.#suite, work: this.#folder, signal });
      const hash = createHash('sha256');
      for await (const bytes of createReadStream(file)) hash.update(bytes);
      return line({ id: hash.digest('hex').slice(0, 32) });
    } catch (error) {
      await rm(out, { recursive: true, force: true });
      if (isEnd || !isQmpilotError(error, 'GUEST_BUILD')) throw error;
      return line({ reason: error.message });
    }
  }

  async buildReverted(kernel: string): Promise<BuildLine> {
    return { type: 'build', commit: kernel, reason: 'packages have no reverts', ms: 0 };
  }

  async close(): Promise<void> {}
}
