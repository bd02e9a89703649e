import { access, constants, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import { CPUS, MEMORY_MIB } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { GuestDescription, PreparedGuest, SerialLogin } from '../guest.js';
import { SERIAL_LOGIN } from '../guest.js';
import type { FlakeSource } from './nix-build.js';

/** Options of a NixOS guest, whether it comes from a flake or a finished start script. */
export interface NixosCommonOptions {
  /** Default the name of the script's host. */
  readonly name?: string;
  /**
   * A disk image for the guest's root, which is only read: what the guest writes goes to an overlay. Default `$NIX_DISK_IMAGE`;
   * without one the script makes a new image, or has its root on a tmpfs.
   */
  readonly diskImage?: string;
  /** For the start script: `QEMU_OPTS`, `QEMU_NET_OPTS`, `SHARED_DIR`, ... */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to the kernel's command line, behind `$QEMU_KERNEL_PARAMS`. */
  readonly kernelParameters?: readonly string[];
  /** Virtual CPUs; default as the configuration says. */
  readonly cpus?: number;
  readonly memoryMiB?: number;
  /**
   * Where the console shells come from. `auto` (default): from `nixosModules.qmpilot`, and in a guest without it from the
   * root prompt on its serial console. `module`: only from the module. `none`: there are none, and `vm.exec` does not work.
   */
  readonly shells?: 'auto' | 'module' | 'none';
  /** What the serial console shows when a shell of root waits there. */
  readonly login?: SerialLogin;
}

/** Options of `nixos`: the common ones, and either a flake or a start script. */
export type NixosOptions = NixosCommonOptions &
  (
    | {
        /** A flake, as `nix` takes it: `.`, `github:owner/repo`. It is built when the guest is. */
        readonly flake: string;
        /** A name of its `nixosConfigurations`, or the whole path of an attribute that is a `system.build.vm`. */
        readonly attribute: string;
        readonly script?: never;
      }
    | {
        /** A finished start script, `result/bin/run-*-vm`, or the folder `result`. */
        readonly script: string;
        readonly flake?: never;
        readonly attribute?: never;
      }
  );

const NIXOS_OPTIONS = v.strictObject({
  name: v.optional(v.string()),
  diskImage: v.optional(v.string()),
  env: v.optional(v.record(v.string(), v.string())),
  kernelParameters: v.optional(v.array(v.string())),
  cpus: v.optional(CPUS),
  memoryMiB: v.optional(MEMORY_MIB),
  shells: v.optional(v.picklist(['auto', 'module', 'none'])),
  login: v.optional(SERIAL_LOGIN),
  flake: v.optional(v.string()),
  attribute: v.optional(v.string()),
  script: v.optional(v.string()),
} satisfies Record<keyof NixosOptions, v.GenericSchema>);

/** `[root@nixos:~]# `, and Debian's `root@host:~# `; the kernel may have printed a line behind it. */
const ROOT_PROMPT = /\[?root@[\w.-]+:[^\s\]]*\]?# (?=$|\[ *\d+\.\d{6}\])/;

/**
 * A NixOS VM, started through its own script (`config.system.build.vm`), as it is. Everything but snapshots works with any
 * configuration; for snapshots its store has to be in an image (`nixosModules.qmpilot`: `qmpilot.snapshot.enable = true`).
 */
export function nixos(options: NixosOptions): GuestDescription {
  validate(NIXOS_OPTIONS, options, 'nixos: options');
  checkSource(options);
  const name = options.name ?? nameOf(options);
  return {
    name,
    async prepare(context = {}) {
      const { nixBuild } = await import('./nix-build.js');
      const built =
        options.script ?? (await nixBuild({ flake: flakeOf(options.flake), attribute: options.attribute }, context));
      const path = await findScript(built, options.script === undefined ? options : undefined);
      const inherited = (variable: string) => options.env?.[variable] ?? process.env[variable] ?? '';
      const diskImage = await readable(
        'disk image',
        options.diskImage ?? inherited('NIX_DISK_IMAGE'),
        'leave diskImage (and $NIX_DISK_IMAGE) out for a new one',
      );
      const efiVariables = await readable(
        'file of EFI variables',
        inherited('NIX_EFI_VARS'),
        'leave $NIX_EFI_VARS out for a new one',
      );
      const withShells = options.shells !== 'none';
      return {
        name,
        key: await keyOf(path, [diskImage, efiVariables], options),
        script: {
          path,
          env: options.env ?? {},
          ...(diskImage && { diskImage }),
          ...(efiVariables && { efiVariables }),
          kernelParameters: options.kernelParameters ?? [],
          ...(options.cpus !== undefined && { cpus: options.cpus }),
          ...(options.memoryMiB !== undefined && { memoryMiB: options.memoryMiB }),
          startShells: (options.shells ?? 'auto') === 'auto',
        },
        disks: [],
        cpus: options.cpus ?? 1,
        memoryMiB: options.memoryMiB ?? 1024,
        network: 'user',
        // hvc2 and hvc3 are for whatever else the guest may run there, as in the Debian guest.
        virtioConsoles: ['hvc0', 'hvc1', 'hvc2', 'hvc3'],
        guestAgent: true,
        ...(withShells && { shell: 'hvc0', samplingShell: 'hvc1' }),
        login: options.login ?? { prompt: ROOT_PROMPT },
      } satisfies PreparedGuest;
    },
  };
}

function checkSource(options: NixosOptions): void {
  const given: Readonly<Record<string, unknown>> = { ...options };
  const [flake, attribute, script] = ['flake', 'attribute', 'script'].map((key) => given[key]);
  const isName = (value: unknown) => typeof value === 'string' && value !== '';
  if (isName(script) && flake === undefined && attribute === undefined) return;
  if (isName(flake) && isName(attribute) && script === undefined) return;
  throw new QmpilotError('USAGE', 'a NixOS guest is either a flake with an attribute, or a finished script', {
    hint: "nixos({ flake: '.', attribute: 'nixos-vm' }) or nixos({ script: 'result/bin/run-nixos-vm' })",
  });
}

function nameOf(options: NixosOptions): string {
  if (options.script === undefined)
    return `nixos:${options.attribute.split('.').at(-1) === 'vm' ? (options.attribute.split('.').at(-5) ?? options.attribute) : options.attribute}`;
  return `nixos:${hostOf(options.script) ?? 'vm'}`;
}

function hostOf(script: string): string | undefined {
  return /^run-(.+)-vm$/.exec(basename(script))?.[1];
}

/** A path that is one for nix too, wherever it runs. */
function flakeOf(flake: string): string {
  return /^\.{0,2}\//.test(flake) || flake === '.' || flake === '..' ? resolve(flake) : flake;
}

/** The start script in what was named or built. */
async function findScript(named: string, source: FlakeSource | undefined): Promise<string> {
  const path = resolve(named);
  const info = await stat(path).catch((cause: unknown) => {
    throw new QmpilotError('USAGE', `there is no start script at ${path}`, {
      cause,
      hint: 'build it: nix build .#nixosConfigurations.NAME.config.system.build.vm',
    });
  });
  if (!info.isDirectory()) return mustRun(path);
  const bin = join(path, 'bin');
  const programs = await readdir(bin).catch(() => []);
  const [script, ...more] = programs.filter((program) => hostOf(program) !== undefined);
  if (script !== undefined && more.length === 0) return mustRun(join(bin, script));
  const { installable } = await import('./nix-build.js');
  const what = source ? `${installable(source)} is not a vm: ` : '';
  throw new QmpilotError(
    'USAGE',
    `${what}${path} has ${more.length > 0 ? 'several' : 'no'} bin/run-*-vm${programs.length > 0 ? ` (it has ${programs.slice(0, 5).join(', ')})` : ''}`,
    {
      hint: 'the attribute must be a `config.system.build.vm` of a configuration that imports virtualisation/qemu-vm.nix',
    },
  );
}

async function mustRun(path: string): Promise<string> {
  try {
    await access(path, constants.X_OK);
    return path;
  } catch (cause) {
    throw new QmpilotError('USAGE', `the start script ${path} is not executable`, {
      cause,
      hint: `chmod +x ${basename(path)}, in ${dirname(path)}`,
    });
  }
}

async function readable(what: string, named: string, hint: string): Promise<string | undefined> {
  if (named === '') return undefined;
  const path = resolve(named);
  await access(path, constants.R_OK).catch((cause: unknown) => {
    throw new QmpilotError('USAGE', `the ${what} ${path} cannot be read`, { cause, hint });
  });
  return path;
}

async function keyOf(script: string, files: readonly (string | undefined)[], options: NixosOptions): Promise<string> {
  const { createHash } = await import('node:crypto');
  const key = createHash('sha256')
    .update(await realpath(script))
    .update('\0')
    .update(await readFile(script));
  for (const file of files.filter((one) => one !== undefined)) {
    const { size, mtimeMs } = await stat(file);
    key.update(`\0${file}\0${size}\0${mtimeMs}`);
  }
  return key
    .update(JSON.stringify([options.env, options.kernelParameters, options.cpus, options.memoryMiB]))
    .digest('hex')
    .slice(0, 32);
}
