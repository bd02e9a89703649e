import { QmpilotError } from '../../errors.js';
import type { Machine } from '../../qemu/process/machine.js';
import { parseUsernet, type PortForward } from '../../qmp/usernet.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { retry } from '../../util/async/retry.js';
import type { NewVmEvent } from '../events.js';

/** A port of the guest that a port of this host's loopback address leads to. */
export interface ForwardedPort {
  /** The port of the guest. */
  readonly guestPort: number;
  readonly host: '127.0.0.1';
  /** The port of the host. */
  readonly port: number;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
}

/** The forwarded ports of one VM. A port belongs to one QEMU: each machine that takes the place of another gets them again. */
export class PortForwards {
  readonly #machine: () => Machine;
  readonly #emit: (event: NewVmEvent) => void;
  /** As they were when they were read last: a QEMU that has ended cannot be asked. */
  #known: readonly PortForward[] = [];

  constructor(machine: () => Machine, emit: (event: NewVmEvent) => void) {
    this.#machine = machine;
    this.#emit = emit;
  }

  /**
   * Forwards a free port of 127.0.0.1 to a port of the guest; where one leads there already, gives that one.
   * @throws {USAGE} when the guest has no user-mode network
   */
  async add(guestPort: number, options: WaitOptions = {}): Promise<ForwardedPort> {
    const known = (await this.read(options)).find((each) => each.guestPort === guestPort && each.host === '127.0.0.1');
    if (known) return forwardedPort(known);
    const said = await this.#forward({ host: '127.0.0.1', hostPort: 0, guestPort }, options);
    if (said !== '')
      throw new QmpilotError('USAGE', `cannot forward a port of the host to port ${guestPort} of the guest: ${said}`, {
        hint: "the guest needs a network: network: 'restricted', or 'user' when it has to reach the host's network as well",
      });
    const made = (await this.read(options)).find((each) => each.guestPort === guestPort && each.host === '127.0.0.1');
    if (made) return forwardedPort(made);
    throw new QmpilotError(
      'QMP_COMMAND',
      `QEMU does not list the port that it forwards to port ${guestPort} of the guest`,
      {
        hint: "see vm.qmp.hmp('info usernet')",
      },
    );
  }

  /** Lists what this QEMU forwards, also what was forwarded by commands of its monitor. */
  async read(options: WaitOptions = {}): Promise<readonly PortForward[]> {
    this.#known = parseUsernet(await this.#monitor('info usernet', options));
    return this.#known;
  }

  /** The same, or what was known of a QEMU that does not answer any more; asks nothing of a machine without a network. */
  async readOrRecall(): Promise<readonly PortForward[]> {
    const { network, readBack, extra } = this.#machine().spec;
    if (network === 'none' && readBack === undefined && extra.length === 0) return [];
    return this.read({ timeout: 1000 }).catch(() => this.#known);
  }

  /** Forwards free ports of the host to these ports of the guest, as a fork or a VM that starts does. */
  async addNew(guestPorts: readonly number[]): Promise<void> {
    const ports = [...new Set(guestPorts)];
    await this.addAgain(ports.map((guestPort) => ({ host: '127.0.0.1', hostPort: 0, guestPort })));
  }

  /** Adds forwards to a new machine, with the same ports of the host. The machine before it may take a moment to release them. */
  async addAgain(forwards: readonly PortForward[]): Promise<void> {
    for (const forward of forwards) {
      await retry(
        async () => {
          const said = await this.#forward(forward, {});
          if (said !== '') throw new Error(said);
        },
        { retries: 100, delay: 25 },
      ).catch((error: unknown) => {
        const { guestPort, hostPort: port } = forward;
        const reason = error instanceof Error ? error.message : String(error);
        this.#emit({ type: 'forward-lost', guestPort, port, reason });
      });
    }
    if (forwards.length > 0) await this.readOrRecall();
  }

  /** QEMU's complaint; empty when it forwards the port. */
  async #forward({ host, hostPort, guestPort }: PortForward, options: WaitOptions): Promise<string> {
    return (await this.#monitor(`hostfwd_add tcp:${host}:${hostPort}-:${guestPort}`, options)).trim();
  }

  #monitor(line: string, options: WaitOptions): Promise<string> {
    return this.#machine().qmp.hmp(line, options);
  }
}

function forwardedPort({ hostPort, guestPort }: PortForward): ForwardedPort {
  return { guestPort, host: '127.0.0.1', port: hostPort, url: `http://127.0.0.1:${hostPort}` };
}
