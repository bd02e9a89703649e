import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import { validate } from '../../util/validation/validate.js';
import { diskBytes } from './disk-size.js';
import {
  BASE_DISK_SIZE,
  checkImageOptions,
  DEFAULT_SUITE,
  IMAGE_ENTRIES,
  type DebianImageOptions,
  type Defect,
} from './image-options.js';
import { baseKey, guestFolder, moduleFolder } from './recipe.js';
import type { SetupStep } from './setup-step.js';

/** What a layer adds to the one below. */
export type LayerContent =
  | { readonly kind: 'base' }
  | { readonly kind: 'defect'; readonly defect: Defect }
  | { readonly kind: 'size'; readonly bytes: number }
  | { readonly kind: 'packages'; readonly packages: readonly string[] }
  | {
      readonly kind: 'setup';
      /** Absolute path of the script. */
      readonly setup?: string;
      /** Absolute paths of the host, by paths of the guest. */
      readonly files: ReadonlyMap<string, string>;
    }
  | { readonly kind: 'step'; readonly step: SetupStep };

export interface Layer {
  /** Stands for the content of this layer and of those below. */
  readonly key: string;
  readonly content: LayerContent;
}

/**
 * The layers of an image from the bottom up: base, module of a defect, size of the disk, packages, files and setup script, or a setup that runs in a
 * guest. Those above the base are there only where the options ask for them.
 * @throws {USAGE} for invalid options, and for a file that cannot be read
 */
export async function planLayers(options: DebianImageOptions, step?: SetupStep): Promise<readonly [Layer, ...Layer[]]> {
  validate(v.strictObject(IMAGE_ENTRIES), options, 'debian: options');
  checkImageOptions(options, 'debian: options');
  const base: Layer = { key: await baseKey(options), content: { kind: 'base' } };
  const layers: [Layer, ...Layer[]] = [base];
  const scripts = await hashOfTree(join(guestFolder(), 'layer'));
  let below = base.key;
  const add = (content: LayerContent, identity: unknown) => {
    const text = JSON.stringify([below, content.kind, scripts, identity]);
    below = createHash('sha256').update(text).digest('hex').slice(0, 32);
    layers.push({ key: below, content });
  };
  const { defect } = options;
  if (defect !== undefined) add({ kind: 'defect', defect }, [defect, await hashOfTree(moduleFolder(defect))]);
  const bytes = diskBytes(options.diskSize ?? BASE_DISK_SIZE);
  if (bytes !== diskBytes(BASE_DISK_SIZE)) add({ kind: 'size', bytes }, bytes);
  const packages = [...new Set(options.packages)].sort();
  if (packages.length > 0) add({ kind: 'packages', packages }, packages);
  const files = new Map(
    Object.entries(options.files ?? {})
      .map(([guest, host]) => [guest, resolve(host)] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
  if (options.setup !== undefined || files.size > 0) {
    const identity: string[] = [];
    for (const [guest, host] of files) identity.push(guest, await identityOf(host, 'files'));
    if (options.setup !== undefined) identity.push('', await identityOf(resolve(options.setup), 'setup'));
    add({ kind: 'setup', files, ...(options.setup !== undefined && { setup: resolve(options.setup) }) }, identity);
  }
  if (step) add({ kind: 'step', step }, [step.name, step.source]);
  return layers;
}

/**
 * The key of the image of these options in the cache. Debian's own point releases do not change it.
 * @throws {USAGE}
 */
export async function debianImageKey(options: DebianImageOptions): Promise<string> {
  const layers = await planLayers(options);
  return layers.at(-1)?.key ?? layers[0].key;
}

/** For people: `Debian bookworm`, `2 packages`, `setup.sh`. */
export function describeLayer({ content }: Layer, { suite = DEFAULT_SUITE }: DebianImageOptions): string {
  if (content.kind === 'base') return `Debian ${suite}`;
  if (content.kind === 'defect') return `the defect ${content.defect}`;
  if (content.kind === 'size') return `a disk of ${content.bytes / 2 ** 20} MiB`;
  if (content.kind === 'packages') return shortList('the package', content.packages);
  if (content.kind === 'step') return `the setup ${content.step.name}`;
  const files = content.files.size === 0 ? [] : [shortList('the file', [...content.files.keys()])];
  return [...files, ...(content.setup === undefined ? [] : [`the script ${basename(content.setup)}`])].join(' and ');
}

function shortList(what: string, names: readonly string[]): string {
  return names.length === 1
    ? `${what} ${names[0]}`
    : `${what}s ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`;
}

async function identityOf(path: string, option: string): Promise<string> {
  try {
    const info = await stat(path);
    if (info.isDirectory() && option === 'files') return await hashOfTree(path);
    if (!info.isFile()) throw new QmpilotError('USAGE', `debian: options.${option}: ${path} is not a file`);
    return `${info.mode & 0o111 ? 'x' : '-'} ${hashOf(await readFile(path))}`;
  } catch (cause) {
    if (cause instanceof QmpilotError) throw cause;
    throw new QmpilotError('USAGE', `debian: options.${option}: ${path} cannot be read`, {
      cause,
      hint: 'paths of the host are relative to the current directory',
    });
  }
}

/** Names, executable bits and contents of all files of a folder. */
async function hashOfTree(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const path of (await readdir(folder, { recursive: true, withFileTypes: true }))
    .map((each) => join(each.parentPath, each.name))
    .sort()) {
    const info = await lstat(path);
    hash.update(`\0${path.slice(folder.length)}\0${info.mode & 0o111 ? 'x' : '-'}\0`);
    if (info.isFile()) hash.update(await readFile(path));
    if (info.isSymbolicLink()) hash.update(await readlink(path));
  }
  return hash.digest('hex');
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
