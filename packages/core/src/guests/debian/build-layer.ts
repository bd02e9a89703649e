import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { requireProgram } from '../../util/files/which.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { makeImage, move } from '../build/make-image.js';
import { progressOf, runMmdebstrap } from '../build/mmdebstrap.js';
import { flattenImage, setBackingFile } from '../build/qcow2.js';
import type { PrepareContext } from '../guest.js';
import { IMAGE_FILES, type GuestImage } from '../image-cache.js';
import { DPKG_OPTIONS } from './build-base.js';
import { DEFAULT_SUITE, imageName, type DebianImageOptions } from './image-options.js';
import { describeLayer, type Layer } from './layers.js';
import { guestFolder, moduleFolder, toolchain } from './recipe.js';

const run = promisify(execFile);

/**
 * Builds a layer of the kernel module of a defect, of packages, or of files and a setup script, over the image `below`: mmdebstrap
 * gets the file system of that image as its tree, and what changed there is written to the file system, without mounting it. The
 * caller holds the lock of the layer.
 */
export async function buildLayer(
  layer: Layer,
  below: GuestImage,
  options: DebianImageOptions,
  context: PrepareContext,
  tell: (message: string) => void,
): Promise<void> {
  const { signal } = context;
  await requireProgram('debugfs', 'on Debian: apt-get install e2fsprogs', SBIN);
  await makeImage({
    key: layer.key,
    context,
    tell,
    build: async ({ work, output }, say) => {
      say(`adding ${describeLayer(layer, options)} to the image ${imageName(options)}`);
      const parent = await flattenImage(below, join(work, 'parent.qcow2'), signal);
      await runMmdebstrap({
        args: mmdebstrapArguments(layer, {
          parent,
          control: await stageControl(layer, below, work, signal),
          overlay: await stageFiles(layer, work, signal),
          suite: options.suite ?? DEFAULT_SUITE,
          work,
        }),
        env: {},
        cwd: work,
        suite: options.suite ?? DEFAULT_SUITE,
        signal,
        onLine: progressOf(say),
      }).catch((error: unknown) => {
        throw layer.content.kind === 'defect' ? withoutHeaders(error, below) : error;
      });
      await setBackingFile(join(work, IMAGE_FILES.disk), below, signal);
      await move(join(work, IMAGE_FILES.disk), join(output, IMAGE_FILES.disk));
      return {
        name: imageName(options),
        parent: below.key,
        adds: describeLayer(layer, options),
        kernelRelease: below.manifest.kernelRelease,
        packages: (await readFile(join(work, 'packages'), 'utf8')).trim().split('\n'),
      };
    },
  });
}

/** Mirrors have the headers of their newest kernel alone. */
function withoutHeaders(error: unknown, { key, manifest }: GuestImage): unknown {
  if (!isQmpilotError(error) || !error.message.includes(`linux-headers-${manifest.kernelRelease}`)) return error;
  return new QmpilotError(
    error.code,
    `the mirror no longer has the headers of Linux ${manifest.kernelRelease}, the kernel of the image of ${manifest.builtAt.slice(0, 10)}`,
    {
      cause: error,
      evidence: error.evidence,
      hint: `build that image again, with the mirror's kernel: qmpilot guest rm ${key}`,
    },
  );
}

/** Where programs that make file systems are, which a plain user's PATH may lack. */
const SBIN = ['/usr/sbin', '/sbin'];

interface Inputs {
  readonly parent: string;
  readonly control: string;
  readonly overlay: string | undefined;
  readonly suite: string;
  readonly work: string;
}

function mmdebstrapArguments({ content }: Layer, { parent, control, overlay, suite, work }: Inputs): string[] {
  const setup = (command: string) => `--setup-hook=${command}`;
  const hook = (command: string) => `--customize-hook=${command}`;
  const download = (from: string, to: string) => hook(`download ${from} ${shQuote(join(work, to))}`);
  const script = (name: string) => `sh "$1/qmpilot-layer/${name}" "$1"`;
  return [
    '--variant=custom',
    content.kind === 'setup' ? '--skip=output/dev,update' : '--skip=output/dev',
    ...(content.kind === 'packages' ? [`--include=${content.packages.join(',')}`] : []),
    ...DPKG_OPTIONS,
    '--dpkgopt=force-unsafe-io',
    setup(`tar-in ${shQuote(control)} /`),
    setup(`upload ${shQuote(parent)} /qmpilot-layer/parent.qcow2`),
    setup(script('open.sh')),
    ...(overlay === undefined ? [] : [hook(`tar-in ${shQuote(overlay)} /`)]),
    ...(content.kind === 'setup' && content.setup !== undefined ? [hook(script('setup.sh'))] : []),
    ...(content.kind === 'defect' ? [hook(script('defect.sh'))] : []),
    hook(content.kind === 'defect' ? `${script('close.sh')} /usr/lib/qmpilot` : script('close.sh')),
    download('/qmpilot-packages', 'packages'),
    download('/qmpilot.qcow2', IMAGE_FILES.disk),
    suite,
    '/dev/null',
  ];
}

/** Our scripts, and the user's, as a tar archive: root of mmdebstrap's user namespace may not be able to read them where they are. */
async function stageControl(
  { content }: Layer,
  below: GuestImage,
  work: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const folder = join(work, 'control', 'qmpilot-layer');
  await mkdir(folder, { recursive: true });
  await cp(join(guestFolder(), 'layer'), folder, { recursive: true });
  if (content.kind === 'setup' && content.setup !== undefined) await copyFile(content.setup, join(folder, 'setup'));
  if (content.kind === 'defect') {
    await cp(moduleFolder(content.defect), join(folder, 'module'), { recursive: true });
    await writeFile(join(folder, 'toolchain'), `${toolchain(below.manifest.kernelRelease).join('\n')}\n`);
  }
  return archiveOf(join(work, 'control'), ['qmpilot-layer'], join(work, 'control.tar'), signal);
}

async function stageFiles(
  { content }: Layer,
  work: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (content.kind !== 'setup' || content.files.size === 0) return undefined;
  const tree = join(work, 'files');
  for (const [guest, host] of content.files) {
    const to = join(tree, guest);
    await mkdir(dirname(to), { recursive: true });
    await cp(host, to, { recursive: true, verbatimSymlinks: true }).catch((cause: unknown) => {
      throw new QmpilotError('GUEST_BUILD', `${host} could not be copied to ${guest} of the image`, { cause });
    });
  }
  const names = [...content.files.keys()].map((guest) => guest.slice(1));
  return archiveOf(tree, names, join(work, 'files.tar'), signal);
}

/** The folders above these are not in the archive: those of the guest keep their owner and mode, and stay links where they are. */
async function archiveOf(
  tree: string,
  names: readonly string[],
  archive: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const ownership = ['--owner=0', '--group=0', '--mode=u=rwX,go=rX', '--sort=name'];
  await run('tar', [...ownership, '-cf', archive, '-C', tree, '--', ...names], { signal });
  return archive;
}
