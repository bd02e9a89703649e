import type { Obstacle } from './machine-spec.js';
import { optionValue, parseOption, type Argument } from './options.js';

interface Rule {
  readonly applies: (argument: Argument) => boolean;
  readonly obstacle: (argument: Argument) => Obstacle;
}

const head = (value: string | undefined) => parseOption(value ?? '')[0]?.[0] ?? '';

const RULES: readonly Rule[] = [
  {
    applies: ({ name, value }) => name === 'tpmdev' && head(value) === 'emulator',
    obstacle: () => ({
      reason: 'its TPM is an emulator (swtpm) outside of QEMU, which ends with this QEMU and cannot be forked',
      remedy: 'build the guest without it: virtualisation.tpm.enable = false',
    }),
  },
  {
    applies: ({ name, value }) => name === 'device' && head(value).startsWith('vhost-user-'),
    obstacle: ({ value }) => ({
      reason: `its ${head(value)}${optionValue(value, 'tag') === undefined ? '' : ` (virtiofs share '${optionValue(value, 'tag')}')`} is served by a process outside of QEMU that takes one QEMU alone`,
      remedy: 'leave that share or device out of the guest',
    }),
  },
  {
    applies: ({ name, value }) =>
      ['netdev', 'nic', 'net'].includes(name) && optionValue(value, 'hostfwd') !== undefined,
    obstacle: ({ value }) => ({
      reason: `it has a port of the host (hostfwd=${optionValue(value, 'hostfwd')}), which a second QEMU cannot have`,
      remedy: 'leave it out of virtualisation.forwardPorts and QEMU_NET_OPTS',
    }),
  },
  {
    applies: ({ name, value }) => name === 'device' && /^(?:vfio-|usb-host)/.test(head(value)),
    obstacle: ({ value }) => ({
      reason: `it has a device of the host (${head(value)}), which a second QEMU cannot have`,
      remedy: 'leave that device out of the guest',
    }),
  },
  {
    applies: ({ name }) => name === 'snapshot',
    obstacle: () => ({
      reason: 'it was started with -snapshot, so the contents of its disks are lost when this QEMU ends',
      remedy: 'remove -snapshot: each VM has overlays of its own',
    }),
  },
  {
    applies: ({ name }) => name === 'daemonize',
    obstacle: () => ({ reason: 'it was started with -daemonize', remedy: 'leave -daemonize out' }),
  },
];

/** Returns what prevents a second QEMU with the same command line. */
export function obstaclesOf(parsed: readonly Argument[]): Obstacle[] {
  return RULES.flatMap(({ applies, obstacle }) => {
    const argument = parsed.find(applies);
    return argument ? [obstacle(argument)] : [];
  });
}
