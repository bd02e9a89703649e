import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';

/** A Redis of a test: on a port of the loopback, with its files in a folder of the test. */
export interface TestRedis {
  readonly url: string;
  /** Ends it as an administrator does, and starts it again with the data that it wrote. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it, with options of redis-server; with a certificate for TLS, it speaks TLS alone. */
export async function startRedis(dir: string, ...options: readonly string[]): Promise<TestRedis> {
  mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const ports = options.includes('--tls-cert-file')
    ? ['--port', '0', '--tls-port', String(port)]
    : ['--port', String(port)];
  const start = () => launch([...ports, '--dir', dir, '--bind', '127.0.0.1', '--save', '', ...options]);
  let server = await start();
  const stop = async () => {
    if (server.exitCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGTERM');
    await exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    stop,
    async restart() {
      await stop();
      server = await start();
    },
  };
}

/** Resolves when it takes connections. */
async function launch(args: readonly string[]): Promise<ChildProcess> {
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`redis-server ended: ${log}`)));
    server.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('Ready to accept connections')) resolve();
    });
  });
  return server;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address === 'object' && address !== null) return address.port;
  throw new Error('no free port');
}
