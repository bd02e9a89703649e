import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { QmpClient } from '@qmpilot/core/qmp';

export interface RawQemu extends AsyncDisposable {
  readonly stream: Duplex;
  readonly pid: number;
  kill(signal?: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
}

/** A QEMU with QMP on an inherited socket pair (descriptor 3) and nothing else; gone at the end of the scope. */
export function startQemu(
  extra: readonly string[] = ['-machine', 'none'],
  binary: readonly string[] = [qemuBinary()],
): RawQemu {
  const [command = '', ...prefix] = binary;
  const args = ['-nodefaults', '-display', 'none', '-S', '-chardev', 'socket,id=qmp,fd=3', '-qmp', 'chardev:qmp'];
  const child = spawn(command, [...prefix, ...args, ...extra], { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  const stream = child.stdio[3];
  if (!(stream instanceof Duplex)) throw new Error('no socket pair on descriptor 3');
  stream.on('error', () => {});
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return {
    stream,
    pid: child.pid ?? 0,
    kill: (signal = 'SIGKILL') => void child.kill(signal),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      stream.destroy();
    },
  };
}

export function qemuBinary(): string {
  return process.env['QMPILOT_QEMU'] || 'qemu-system-x86_64';
}

export async function startWithClient(
  extra?: readonly string[],
  binary?: readonly string[],
): Promise<RawQemu & { client: QmpClient }> {
  const qemu = startQemu(extra, binary);
  const client = await QmpClient.fromStream(qemu.stream);
  return { ...qemu, client, [Symbol.asyncDispose]: qemu[Symbol.asyncDispose] };
}
