import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { acquireHostDirectories, releaseHostDirectories } from '../../qemu/host/directories.js';
import type { QmpClient } from '../../qmp/client.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { encodePng, parsePpm } from './ppm-to-png.js';

/** Limit of `vm.screenshot`: 30 s by default. */
export type ScreenshotOptions = WaitOptions;

/**
 * Takes a picture of the graphical console. QEMU writes PPM in every version, but PNG only since 7.1 and where it was built
 * with libpng: so the PNG is encoded here.
 */
export async function takeScreenshot(qmp: QmpClient, options: ScreenshotOptions): Promise<Buffer> {
  // A directory that is removed even when this process is killed.
  const { disk } = await acquireHostDirectories();
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(disk, 'shot-'));
    const filename = join(directory, 'screen.ppm');
    await qmp.executeUntyped('screendump', { filename }, { patience: '30s', ...options });
    return encodePng(parsePpm(await readFile(filename)));
  } catch (error) {
    if (!isQmpilotError(error, 'QMP_COMMAND') || !/no console|no surface/i.test(error.message)) throw error;
    throw new QmpilotError('USAGE', 'this VM has no graphics card to take a screenshot of', {
      cause: error,
      hint: "boot it with display: 'std'; vm.console.screen shows the serial console without one",
    });
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    await releaseHostDirectories();
  }
}
