import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../../../errors.js';
import { readVmlinux } from '../../../introspect/vmlinux/vmlinux.js';
import { packageFolder } from '../../../util/files/package-folder.js';
import { withReadAt } from '../../../util/files/read-at.js';
import { requireProgram, which } from '../../../util/files/which.js';
import { monotonicMs } from '../../../util/time/clock.js';
import { CPUS, PATH } from '../../../util/validation/schemas.js';
import { validate } from '../../../util/validation/validate.js';
import { runGroup } from '../../build/run-group.js';
import type { PrepareContext } from '../../guest.js';
import { withImageLock } from '../../image-cache.js';
import { missingOptions, parseKernelConfig } from '../kernel-config.js';
import { configOptions, configText, ignoredOptions, TYPE_INFORMATION } from './guest-config.js';
import { makeError } from './make-error.js';

/** How a kernel is built for a guest. */
export interface BuildKernelOptions {
  /** Fragments of a configuration, over the one that a guest needs: files with lines such as `CONFIG_KASAN=y`. */
  readonly config?: readonly string[];
  /** The build directory, outside of the tree; default is the tree's path with `.qmpilot` behind it. Later builds continue there. */
  readonly out?: string;
  /** How many compilers run at once; default is the number of CPUs. */
  readonly jobs?: number;
}

/** A kernel that was built. */
export interface BuiltKernel {
  /** The build directory, which the option `kernel` of `debian()` takes. */
  readonly out: string;
  readonly image: string;
  readonly release: string;
  /** GNU build id of vmlinux. */
  readonly buildId?: string;
  /** Wanted options that the kernel's configuration does not have: `CONFIG_X=y`. */
  readonly ignored: readonly string[];
}

const OPTIONS = v.strictObject({
  config: v.optional(v.array(PATH)),
  out: v.optional(PATH),
  jobs: v.optional(CPUS),
} satisfies Record<keyof BuildKernelOptions, v.GenericSchema>);

const TOOLS = ['make', 'gcc', 'ld', 'flex', 'bison', 'bc', 'perl'] as const;
const TOOLS_HINT = 'on Debian: apt-get install build-essential flex bison bc libelf-dev libssl-dev';
/** Objects of a kernel with the configuration of a guest. */
const USUAL_FILES = 1500;

/**
 * Builds the kernel of a source tree with the configuration that a guest needs, in a build directory of its own: `make` with fixed
 * timestamps, with ccache when it is installed, and with the kernel's type information when pahole is. The tree is not changed.
 * @throws {USAGE} for a path that is no kernel tree, a tree that was built in place, and a configuration without what a guest needs
 * @throws {TOOL_MISSING} {GUEST_BUILD} with the compiler's error
 * @throws {ABORTED}: the compilers are gone; the next build continues
 */
export async function buildKernel(
  tree: string,
  options: BuildKernelOptions = {},
  context: PrepareContext = {},
): Promise<BuiltKernel> {
  validate(OPTIONS, options, 'buildKernel: options');
  const source = resolve(tree);
  const out = resolve(options.out ?? `${source}.qmpilot`);
  await checkTree(source);
  if (!relative(source, out).startsWith('..'))
    throw new QmpilotError('USAGE', `the build directory ${out} is in the kernel tree`, {
      hint: 'name one outside of it: --out DIR',
    });
  for (const tool of TOOLS) await requireProgram(tool, TOOLS_HINT);
  const fragments = await Promise.all((options.config ?? []).map(readFragment));
  await mkdir(out, { recursive: true });
  const tell = context.onProgress ?? (() => {});
  return withImageLock(
    `build-${createHash('sha256').update(out).digest('hex').slice(0, 32)}`,
    context.cacheDir,
    context.signal,
    () => tell(`another process builds a kernel in ${out}: waiting for it`),
    () => build({ source, out, fragments, jobs: options.jobs ?? availableParallelism() }, context.signal, tell),
  );
}

interface Build {
  readonly source: string;
  readonly out: string;
  readonly fragments: readonly string[];
  readonly jobs: number;
}

async function build(
  { source, out, fragments, jobs }: Build,
  signal: AbortSignal | undefined,
  tell: (message: string) => void,
): Promise<BuiltKernel> {
  const begun = monotonicMs();
  const seconds = () => `${((monotonicMs() - begun) / 1000).toFixed(0)} s`;
  const pahole = await which('pahole');
  if (pahole === undefined)
    tell('pahole is not installed: the kernel gets no type information, which vm.explain() reads');
  const make = await makeOf(source, out, pahole !== undefined, signal);

  const base = await readFile(join(packageFolder(), 'guest', 'kernel', 'guest.config'), 'utf8');
  const wanted = configOptions(base, pahole === undefined ? '' : TYPE_INFORMATION, ...fragments);
  const fragment = join(out, 'qmpilot.config');
  await writeFile(fragment, configText(wanted));
  tell('configuring the kernel');
  await make([`KCONFIG_ALLCONFIG=${fragment}`, 'allnoconfig'], () => {});
  const text = await readFile(join(out, '.config'), 'utf8');
  const ignored = ignoredOptions(configOptions(...fragments), configOptions(text));
  if (ignored.length > 0) tell(`not in this kernel, or without what they depend on: ${ignored.join(', ')}`);
  const hasModules = /^CONFIG_\w+=m$/m.test(text);
  const missing = missingOptions(parseKernelConfig(text), { hasModules, network: true });
  if (missing.length > 0)
    throw new QmpilotError('USAGE', `the kernel of ${source} could not boot a guest: it lacks ${missing.join(', ')}`, {
      hint: 'check whether a fragment disables them, or an option that they depend on',
    });

  const record = join(out, 'qmpilot.files');
  const before = Number(await readFile(record, 'utf8').catch(() => ''));
  const expected = before > 0 ? before : USUAL_FILES;
  let files = 0;
  let told = monotonicMs();
  await make([`-j${jobs}`, 'bzImage', ...(hasModules ? ['modules'] : [])], (line) => {
    if (!/^ {2}(?:CC|AS|AR|LD|HOSTCC|HOSTLD|OBJCOPY|BTF)\b/.test(line)) return;
    files += 1;
    if (monotonicMs() - told < 5000) return;
    told = monotonicMs();
    tell(`compiling: ${files} of about ${Math.max(expected, files)} files (${seconds()})`);
  });
  if (files > before) await writeFile(record, String(files));
  const buildId = withReadAt(join(out, 'vmlinux'), readVmlinux)?.buildId;
  tell(`the kernel is built (${files} files, ${seconds()})`);
  return {
    out,
    image: join(out, 'arch', 'x86', 'boot', 'bzImage'),
    release: (await readFile(join(out, 'include', 'config', 'kernel.release'), 'utf8')).trim(),
    ...(buildId !== undefined && { buildId }),
    ignored,
  };
}

type Make = (targets: readonly string[], onLine: (line: string) => void) => Promise<void>;

async function makeOf(source: string, out: string, debug: boolean, signal: AbortSignal | undefined): Promise<Make> {
  const ccache = await which('ccache');
  // Debug information names the two directories, and is part of the build id.
  const prefixes = `-fdebug-prefix-map=${out}=. -fdebug-prefix-map=${source}=.`;
  const variables = [
    'ARCH=x86_64',
    'LOCALVERSION=',
    ...(ccache === undefined ? [] : ['CC=ccache gcc']),
    ...(debug ? [`KCFLAGS=${prefixes}`, `KAFLAGS=${prefixes}`] : []),
  ];
  const env = {
    LC_ALL: 'C',
    KBUILD_BUILD_TIMESTAMP: 'Thu Jan  1 00:00:00 UTC 1970',
    KBUILD_BUILD_USER: 'qmpilot',
    KBUILD_BUILD_HOST: 'qmpilot',
    KBUILD_BUILD_VERSION: '1',
  };
  return async (targets, onLine) => {
    const args = ['-C', source, `O=${out}`, ...variables, ...targets];
    const printed: string[] = [];
    const { status } = await runGroup({
      program: 'make',
      args,
      env,
      cwd: out,
      what: 'make to build the kernel',
      signal,
      onLine: (line) => {
        if (!/^ {2}[A-Z]/.test(line) && printed.length < 500) printed.push(line);
        onLine(line);
      },
    });
    if (status !== 0) throw makeError(status, printed, source);
  };
}

async function checkTree(source: string): Promise<void> {
  for (const file of ['Kconfig', 'Makefile', join('arch', 'x86', 'Kconfig')]) {
    if ((await stat(join(source, file)).catch(() => undefined))?.isFile()) continue;
    throw new QmpilotError('USAGE', `${source} is not a kernel tree: it has no ${file}`, {
      hint: 'expected the unpacked sources of Linux, such as those of the Debian package linux-source-6.1',
    });
  }
}

async function readFragment(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new QmpilotError('USAGE', `the fragment of a configuration ${path} cannot be read`, { cause });
  });
}
