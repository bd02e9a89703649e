import type { Duplex } from 'node:stream';
import type { Ports, StartSpec } from '../command-line/machine-spec.js';

/** The host's ends of the channels of one QEMU. */
export interface MachineChannels {
  /** The guest's ttyS0. */
  readonly serial: Duplex;
  /** hvc0, hvc1, ... as named in `spec.virtioConsoles`. */
  readonly virtio: readonly Duplex[];
  /** The port of the guest agent, where `spec.guestAgent` asks for one. */
  readonly agent: Duplex | undefined;
  /** The port of `vm.copyIn` and `vm.copyOut`, where `spec.copyPort` asks for one. */
  readonly copy: Duplex | undefined;
}

/** Standard input, output and error come first. */
const FIRST_FD = 3;

/** The number of channels: QMP, ttyS0, the virtio consoles, the guest agent, the port for copies. */
export function countChannels({ virtioConsoles, guestAgent, copyPort }: Ports): number {
  return 2 + virtioConsoles.length + (guestAgent ? 1 : 0) + (copyPort ? 1 : 0);
}

/** The descriptor behind the channels. */
export function fdAfterChannels(ports: Ports): number {
  return FIRST_FD + countChannels(ports);
}

/** The descriptors of the channels in QEMU, in the order of `countChannels`. */
export function channelFds(ports: Ports): StartSpec['fds'] {
  const virtio = ports.virtioConsoles.map((_, index) => FIRST_FD + 2 + index);
  const next = FIRST_FD + 2 + virtio.length;
  return {
    qmp: FIRST_FD,
    serial: FIRST_FD + 1,
    virtio,
    ...(ports.guestAgent && { agent: next }),
    ...(ports.copyPort && { copy: ports.guestAgent ? next + 1 : next }),
  };
}

/** The same order, of the streams that were passed to QEMU; undefined when there are none. */
export function nameChannels(
  streams: readonly Duplex[],
  ports: Ports,
): (MachineChannels & { readonly qmp: Duplex }) | undefined {
  const fds = channelFds(ports);
  const at = (fd: number | undefined) => (fd === undefined ? undefined : streams[fd - FIRST_FD]);
  const [qmp, serial] = streams;
  if (!qmp || !serial) return undefined;
  const virtio = fds.virtio.flatMap((fd) => at(fd) ?? []);
  return { qmp, serial, virtio, agent: at(fds.agent), copy: at(fds.copy) };
}

/** All channels to the guest, in no order. */
export function guestChannels({ serial, virtio, agent, copy }: MachineChannels): Duplex[] {
  return [serial, ...virtio, agent, copy].filter((stream) => stream !== undefined);
}
