import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { ExecStream } from '../../shell/exec-stream.js';
import type { Shell } from '../../shell/shell.js';
import { errnoOf } from '../../util/files/host-error.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { NO_PORT, OPEN_PORT, type PortUse, type WithPort } from './copy-port.js';
import type { CopyOutOptions, CopyReport } from './copy.js';
import { Extraction } from './extract.js';

/** The kind of the path in the guest decides what `to` becomes: a file, or a folder. Links are not followed. */
const LOOK =
  'if [ -d "$p" ] && [ ! -L "$p" ]; then echo tree; elif [ -f "$p" ]; then echo file; elif [ -e "$p" ] || [ -L "$p" ]; then echo other; else echo none; fi';

/** tar takes as many bytes as the size of a file says, which is wrong in /proc and /sys: such files are read to their end first. */
const ONE_FILE = 'case $(readlink -f "$p") in /proc/*|/sys/*) cp -pL "$p" "$d/file" ;; *) ln -s "$p" "$d/file" ;; esac';

const SAID_CHARACTERS = 2000;
const MAX_BYTES = 8 * 2 ** 30;
/** Between two entries, or two pieces of content, come a header, a long name and what fills up a block of tar. */
const MAX_BETWEEN_BYTES = 1 << 20;

/** Copies a file or tree out of the guest. */
export async function copyOut(
  shell: Shell,
  from: string,
  to: string,
  options: CopyOutOptions & WithPort,
): Promise<CopyReport> {
  const path = guestPath(from);
  const kind = (
    await shell.expectOk(`p=${shQuote(path)}; ${LOOK}`, { signal: options.signal, timeout: options.timeout })
  ).stdout.trim();
  if (kind !== 'file' && kind !== 'tree') {
    throw new QmpilotError(
      kind === 'none' ? 'NOT_FOUND' : 'COPY_FAILED',
      kind === 'none'
        ? `copyOut: ${path} not found in the guest`
        : `copyOut: ${path} in the guest is neither a file nor a folder`,
    );
  }
  const target = resolve(to);
  await checkTarget(target, kind === 'tree');
  await mkdir(dirname(target), { recursive: true });
  // Beside the target, so that the last step is a rename: the copy appears when it is complete.
  const work = await mkdtemp(join(dirname(target), `.${basename(target)}.copying-`));
  try {
    const into = join(work, 'content');
    await mkdir(into, { mode: 0o700 });
    const extraction = new Extraction(into);
    await receive(shell, { kind, path }, extraction, options);
    const report = await extraction.end();
    const whole = kind === 'tree' ? into : join(into, 'file');
    if (kind === 'file' && !(await lstat(whole).catch(() => undefined))?.isFile())
      throw new QmpilotError('COPY_FAILED', `the guest did not send ${path}`);
    await rename(whole, target).catch((cause: unknown) => {
      throw new QmpilotError('COPY_FAILED', `copyOut: cannot write ${target}: ${errnoOf(cause) ?? String(cause)}`, {
        cause,
        hint: 'check whether something was created there during the copy',
      });
    });
    if (kind === 'tree') await extraction.seal(target);
    return report;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A path of the guest, and what it is. */
interface GuestSource {
  readonly kind: 'file' | 'tree';
  readonly path: string;
}

/** An archive that a command in the guest sends. */
interface Incoming {
  /** Ends, and fails, with the command. */
  readonly bytes: AsyncIterable<Buffer>;
  /** The command, without its standard output. */
  readonly stream: ExecStream;
  /** The end of its standard error so far. */
  readonly said: () => string;
}

/** Shell commands that print the archive. */
function archiving({ kind, path }: GuestSource): string {
  // A file comes under a name of our choice; a link that leads to one is followed.
  return kind === 'tree'
    ? `exec tar -cf - -C ${shQuote(path)} .`
    : `p=${shQuote(path)}; d=$(mktemp -d) || exit 1; trap 'rm -rf "$d"' EXIT; ${ONE_FILE} && tar -chf - -C "$d" file`;
}

async function receive(
  shell: Shell,
  source: GuestSource,
  extraction: Extraction,
  { port, ...options }: CopyOutOptions & WithPort,
): Promise<void> {
  const use = shell.kind === 'console' ? await port?.reserve({ signal: options.signal }) : undefined;
  try {
    const incoming = use && (await throughPort(shell, use, source, options));
    await unpack(incoming ?? overConsole(shell, source, options), source.path, extraction, options);
  } finally {
    use?.release();
  }
}

function overConsole(shell: Shell, source: GuestSource, { signal, timeout }: CopyOutOptions): Incoming {
  const stream = shell.stream(archiving(source), { signal, timeout });
  let said = '';
  const bytes = async function* () {
    for await (const chunk of stream) {
      if (chunk.from === 'stderr') said = (said + chunk.bytes.toString()).slice(-SAID_CHARACTERS);
      else yield chunk.bytes;
    }
  };
  return { bytes: bytes(), stream, said: () => said };
}

/** Returns undefined when the guest cannot open the port. */
async function throughPort(
  shell: Shell,
  use: PortUse,
  source: GuestSource,
  { signal, timeout }: CopyOutOptions,
): Promise<Incoming | undefined> {
  const bytes = use.receive();
  // An error before anything reads is reported by the command's result.
  bytes.on('error', () => {});
  const script = `${OPEN_PORT}; ${use.sending(archiving(source))}`;
  const stream = shell.stream(script, { signal, timeout });
  const ended = new AbortController();
  stream.result.then(
    () => {
      use.scriptEnded();
      ended.abort();
    },
    (error: unknown) => {
      use.fail(error);
      ended.abort();
    },
  );
  let said = '';
  void (async () => {
    for await (const chunk of stream) said = (said + chunk.bytes.toString()).slice(-SAID_CHARACTERS);
  })().catch(() => {});
  await use.awaitScript(ended.signal).catch(() => {});
  if (ended.signal.aborted && (await stream.result).exitCode === NO_PORT) return undefined;
  return { bytes, stream, said: () => said };
}

async function unpack(
  { bytes: received, stream, said }: Incoming,
  path: string,
  extraction: Extraction,
  options: CopyOutOptions,
): Promise<void> {
  const limit = options.maxBytes ?? MAX_BYTES;
  let bytes = 0;
  let progressAt = 0;
  const archive = async function* () {
    for await (const chunk of received) {
      bytes += chunk.length;
      if (bytes > limit)
        throw new QmpilotError('OUTPUT_LIMIT', `${path} in the guest is more than ${limit} bytes of archive`, {
          hint: 'raise maxBytes, or copy less',
        });
      // tar-stream keeps the long name of a header in memory, however long the header says it is.
      if (bytes - progressAt > MAX_BETWEEN_BYTES + chunk.length)
        throw new QmpilotError(
          'COPY_FAILED',
          `the guest sent more than ${MAX_BETWEEN_BYTES} bytes of archive without a file or its content`,
        );
      options.onProgress?.({ bytes, entries: extraction.entries });
      yield chunk;
    }
  };
  const extract = tar.extract();
  const entries = (async () => {
    const watched = async function* (content: AsyncIterable<Uint8Array>) {
      for await (const piece of content) {
        progressAt = bytes;
        yield piece;
      }
    };
    for await (const entry of extract) {
      progressAt = bytes;
      await extraction.add(entry.header, watched(entry));
    }
  })();
  try {
    await Promise.all([pipeline(Readable.from(archive()), extract), entries]);
  } catch (error) {
    // Leaving the iteration does not stop it before the next output, and a guest may send none.
    stream.stop(error);
    extract.destroy();
    await entries.catch(() => {});
    await stream.result.catch(() => {});
    throw isQmpilotError(error)
      ? error
      : new QmpilotError('COPY_FAILED', `the guest sent an invalid tar archive: ${String(error)}`, { cause: error });
  }
  const { exitCode } = await stream.result;
  // 1: a file changed while it was read; the archive is complete.
  if (exitCode > 1) {
    const lines = said().trim().split('\n');
    throw new QmpilotError('COPY_FAILED', `tar in the guest ended with ${exitCode}: ${lines.at(-1) ?? ''}`, {
      evidence: { stderr: lines },
    });
  }
}

/** @throws {USAGE} for a path that is not absolute, or has a NUL */
export function guestPath(path: string): string {
  if (path.startsWith('/') && !path.includes('\0')) return path.length > 1 ? path.replace(/\/+$/, '') : path;
  throw new QmpilotError('USAGE', `${JSON.stringify(path)} is not an absolute path of the guest`);
}

async function checkTarget(target: string, tree: boolean): Promise<void> {
  const there = await lstat(target).catch(() => undefined);
  if (!there || (!tree && there.isFile())) return;
  throw new QmpilotError('ALREADY_EXISTS', `${target} already exists`, {
    hint: 'only a file can replace a file: choose another path, or remove it first',
  });
}
