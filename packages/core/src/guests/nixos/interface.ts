/** A start script with the interface of NixOS's `run-*-vm` (nixos/modules/virtualisation/qemu-vm.nix). */
export interface ScriptSpec {
  readonly path: string;
  /** Added to the environment that it inherits. */
  readonly env: Readonly<Record<string, string>>;
  /** A disk image to begin with; it is never written. Unset, the script makes a new one where it wants one. */
  readonly diskImage?: string;
  /** EFI variables to begin with (`$NIX_EFI_VARS`): the guest writes to a copy. */
  readonly efiVariables?: string;
  /** Added to the kernel's command line. */
  readonly kernelParameters: readonly string[];
  /** Unset, the script's own. */
  readonly cpus?: number;
  readonly memoryMiB?: number;
  /** If no shell answers on the virtio consoles, start them from the root prompt on the serial console. */
  readonly startShells: boolean;
}

/** Environment and arguments for one start of a script. Its working directory is `home`, for its relative paths. */
export interface ScriptCall {
  readonly env: NodeJS.ProcessEnv;
  readonly arguments: readonly string[];
}

export interface ScriptFolders {
  /** New for each start: the script's scratch space, `store.img` and `xchg` in it. */
  readonly scratch: string;
  /** The VM's own, for all starts. */
  readonly home: string;
}

interface ScriptFiles {
  readonly console: string | undefined;
  readonly diskImage: string | undefined;
  readonly efiVariables: string | undefined;
}

/** Tells the guest's login shells that a program drives them and needs a prompt. */
const DRIVEN = 'qmpilot.driven=1';

/** What has to change after the first start. */
export interface Corrections {
  /**
   * The script gives the guest a serial port of its own. Linux has one console for each driver, so ours is a virtio console
   * then.
   */
  readonly ownSerial: boolean;
  /** The root disk, if the script names one outside of the VM's folders: this VM gets an overlay of it. */
  readonly rootDisk?: string;
  /** Another accelerator than the script would take. */
  readonly accelerator?: 'kvm' | 'tcg';
  /** The script's `-cpu` needs KVM. */
  readonly cpu?: string;
  /** The script has a port for the guest agent itself. */
  readonly ownAgent: boolean;
}

/**
 * @param console the name of our console in the guest, where the script has taken ttyS0
 * @param diskImage the file for NIX_DISK_IMAGE, as `efiVariables` that for NIX_EFI_VARS; unset, the script uses its own
 */
export function scriptCall(
  spec: ScriptSpec,
  folders: ScriptFolders,
  { console, diskImage, efiVariables }: ScriptFiles,
  corrections: Corrections,
  inherited: NodeJS.ProcessEnv,
): ScriptCall {
  const env: NodeJS.ProcessEnv = { ...inherited, ...spec.env };
  const parameters = [
    env['QEMU_KERNEL_PARAMS'],
    ...spec.kernelParameters,
    DRIVEN,
    console && `console=${console} systemd.wants=serial-getty@${console}.service`,
  ]
    .filter(Boolean)
    .join(' ');
  return {
    env: {
      NIX_SWTPM_DIR: `${folders.scratch}/swtpm`,
      ...env,
      ...(diskImage !== undefined && { NIX_DISK_IMAGE: diskImage }),
      ...(efiVariables !== undefined && { NIX_EFI_VARS: efiVariables }),
      TMPDIR: folders.scratch,
      USE_TMPDIR: '1',
      QEMU_KERNEL_PARAMS: parameters,
    },
    arguments: [
      ...(corrections.accelerator ? ['-machine', `accel=${corrections.accelerator}`] : []),
      ...(corrections.cpu ? ['-cpu', corrections.cpu] : []),
      ...(spec.cpus === undefined ? [] : ['-smp', String(spec.cpus)]),
      ...(spec.memoryMiB === undefined ? [] : ['-m', String(spec.memoryMiB)]),
    ],
  };
}
