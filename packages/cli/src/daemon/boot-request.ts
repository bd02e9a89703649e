import { debian, direct, QmpilotError, type Accelerator, type GuestDescription } from '@qmpilot/core';
import type { DebianImageOptions, DebianOptions, Defect } from '@qmpilot/core/guests';

export const NETWORKS = ['none', 'restricted', 'user'] as const;
export type Network = (typeof NETWORKS)[number];

export type Share = NonNullable<DebianOptions['share']>[number];

/** What `qmpilot boot` passes to the daemon: plain JSON. */
export interface BootRequest {
  readonly guest:
    | {
        readonly kind: 'debian';
        readonly defect?: Defect | undefined;
        readonly network?: Network | undefined;
        readonly image?: Omit<DebianImageOptions, 'defect'> | undefined;
        readonly kernel?: string | undefined;
        readonly ports?: readonly number[] | undefined;
        readonly drives?: readonly string[] | undefined;
        readonly share?: readonly Share[] | undefined;
      }
    | { readonly kind: 'saved'; readonly directory: string }
    | {
        readonly kind: 'direct';
        readonly kernel?: string | undefined;
        readonly initrd?: string | undefined;
        readonly append?: string | undefined;
        readonly disks: readonly string[];
        readonly consoles: readonly string[];
        readonly shell?: string | undefined;
        readonly network?: Network | undefined;
      };
  readonly boot: {
    readonly accelerator?: Accelerator | 'auto' | undefined;
    readonly cpus?: number | undefined;
    readonly memoryMiB?: number | undefined;
    readonly timeout?: number | undefined;
    readonly cache?: boolean | undefined;
    readonly display?: 'none' | 'std' | undefined;
    readonly qemuArguments?: readonly string[] | undefined;
  };
}

/** The request without one for a saved snapshot. */
export type GuestRequest = Exclude<BootRequest['guest'], { readonly kind: 'saved' }>;

export function describeGuest(guest: GuestRequest): GuestDescription {
  if (guest.kind === 'debian')
    return debian({
      defect: guest.defect,
      ...guest.image,
      kernel: guest.kernel,
      ...(guest.network !== undefined && { network: guest.network }),
      ...(guest.ports !== undefined && { ports: guest.ports }),
      ...(guest.share !== undefined && { share: guest.share }),
      ...(guest.drives !== undefined && { drives: guest.drives.map((size) => ({ size })) }),
    });
  const { kernel, initrd, append, disks, consoles, shell, network } = guest;
  return direct({
    ...(kernel !== undefined && { kernel }),
    ...(initrd !== undefined && { initrd }),
    ...(append !== undefined && { append }),
    disks: disks.map((file, index) => ({ id: `disk${index}`, file, format: diskFormat(file) })),
    virtioConsoles: consoles,
    ...(shell !== undefined && { shell }),
    ...(network !== undefined && { network }),
  });
}

function diskFormat(file: string): 'qcow2' | 'raw' {
  if (file.endsWith('.qcow2')) return 'qcow2';
  if (file.endsWith('.raw') || file.endsWith('.img')) return 'raw';
  throw new QmpilotError('USAGE', `cannot tell the format of the disk ${file} from its name`, {
    hint: 'name it *.qcow2, *.raw or *.img',
  });
}
