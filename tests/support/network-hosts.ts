import { spawnSync } from 'node:child_process';

/** A host of its own on this machine: a network namespace with one link to the outside. */
export interface NetworkHost {
  /** The words before a command that runs on it. */
  readonly command: readonly string[];
  /** The address of this machine, as seen from it. */
  readonly gateway: string;
}

/** Hosts, where this user may create network namespaces; otherwise none. */
export class NetworkHosts {
  readonly all: readonly NetworkHost[];
  readonly #names: readonly string[];

  constructor(count: number) {
    const names = Array.from({ length: count }, (_, at) => `qmpilot-${process.pid}-${at}`);
    this.#names = names;
    const made = names.map((name, at) => create(name, at));
    if (made.every((host) => host !== undefined)) {
      this.all = made;
      return;
    }
    this.all = [];
    this.remove();
  }

  remove(): void {
    // Its end of the link goes with it, and takes the other one along.
    for (const name of this.#names) ip('netns', 'delete', name);
  }
}

/** 198.18.0.0/15 is for tests between hosts: RFC 2544. */
function create(name: string, at: number): NetworkHost | undefined {
  const subnet = `198.18.${process.pid % 200}`;
  const [gateway, address] = [`${subnet}.${4 * at + 1}`, `${subnet}.${4 * at + 2}`];
  const [here, there] = [`qp${process.pid}h${at}`, `qp${process.pid}g${at}`];
  const isMade =
    ip('netns', 'add', name) &&
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name) &&
    ip('address', 'add', `${gateway}/30`, 'dev', here) &&
    ip('link', 'set', here, 'up') &&
    ip('-n', name, 'address', 'add', `${address}/30`, 'dev', there) &&
    ip('-n', name, 'link', 'set', there, 'up') &&
    ip('-n', name, 'link', 'set', 'lo', 'up');
  return isMade ? { command: ['ip', 'netns', 'exec', name], gateway } : undefined;
}

function ip(...args: readonly string[]): boolean {
  const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
  return spawnSync('ip', args, { stdio: 'ignore', env: { ...process.env, PATH } }).status === 0;
}
