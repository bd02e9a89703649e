import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { posix, resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { ExecResult } from '../../shell/exec-result.js';
import type { Shell } from '../../shell/shell.js';
import { errnoOf } from '../../util/files/host-error.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { packInPieces, type Packed, type Source } from './archive.js';
import { guestPath } from './copy-out.js';
import { NO_PORT, OPEN_PORT, type PortUse, type WithPort } from './copy-port.js';
import type { CopyOptions, CopyReport } from './copy.js';

/** Over a console, the archive goes into the guest in pieces of this size: they lie in its RAM for a moment. A multiple of tar's blocks. */
const CONSOLE_PIECE_BYTES = 8 << 20;
/** Through the port: the guest starts a program for each piece, and a snapshot waits for two. */
const PORT_PIECE_BYTES = 4 << 20;

/** Exit status of the scripts when the target exists. */
const EXISTS = 17;

/** The guest's side of a copy: quoted paths, and scripts. */
interface Place {
  readonly target: string;
  /** Shell words. */
  readonly quotedTarget: string;
  readonly work: string;
  /** Makes the working directory, and enters it. */
  readonly enter: string;
  /** Moves the copy from the working directory to its place. */
  readonly move: string;
}

/** Copies a file or tree into the guest. */
export async function copyIn(
  shell: Shell,
  from: string,
  to: string,
  { port, ...options }: CopyOptions & WithPort,
): Promise<CopyReport> {
  const source = await findSource(from);
  const place = placeOf(guestPath(to), source);
  const use = shell.kind === 'console' ? await port?.reserve({ signal: options.signal }) : undefined;
  try {
    const packed = use && (await copyThroughPort(shell, use, source, place, options));
    const { files, bytes, skipped } = packed ?? (await copyOverConsole(shell, source, place, options));
    return { files, bytes, skipped };
  } finally {
    use?.release();
  }
}

async function findSource(from: string): Promise<Source> {
  const path = resolve(from);
  const found = await stat(path).catch((cause: unknown) => {
    throw errnoOf(cause) === 'ENOENT'
      ? new QmpilotError('NOT_FOUND', `copyIn: ${path} not found on this host`, { cause })
      : new QmpilotError('IO', `copyIn: cannot read ${path}: ${errnoOf(cause) ?? String(cause)}`, { cause });
  });
  if (!found.isFile() && !found.isDirectory())
    throw new QmpilotError('USAGE', `copyIn: ${path} is neither a file nor a folder`);
  return { path, isTree: found.isDirectory() };
}

function placeOf(target: string, { isTree }: Source): Place {
  const quotedTarget = shQuote(target);
  const work = shQuote(`${target}.copying-${randomBytes(6).toString('hex')}`);
  // A file replaces a file; nothing else is replaced.
  const taken = isTree
    ? `[ -e ${quotedTarget} ] || [ -L ${quotedTarget} ]`
    : `[ -e ${quotedTarget} ] && [ ! -f ${quotedTarget} ]`;
  return {
    target,
    quotedTarget,
    work,
    enter: `if ${taken}; then exit ${EXISTS}; fi; mkdir -p ${shQuote(posix.dirname(target))} && mkdir -m 700 ${work} && cd ${work} && mkdir content`,
    move: `mv -T ${isTree ? 'content' : 'content/file'} ${quotedTarget}`,
  };
}

function assertEntered({ exitCode, stderr }: ExecResult, { target }: Place): void {
  if (exitCode === EXISTS)
    throw new QmpilotError('ALREADY_EXISTS', `copyIn: ${target} already exists in the guest`, {
      hint: 'only a file can replace a file: choose another path, or remove it first',
    });
  if (exitCode !== 0)
    throw new QmpilotError('COPY_FAILED', `copyIn: cannot write ${target} in the guest: ${stderr.trim()}`);
}

/** Exit status of the script when tar failed, or the copy cannot be moved to its place. */
const UNPACK_FAILED = 19;

/** One script reads the whole archive from the port. Returns undefined when the guest cannot open the port. */
async function copyThroughPort(
  shell: Shell,
  use: PortUse,
  source: Source,
  place: Place,
  options: CopyOptions,
): Promise<Packed | undefined> {
  const remove = `cd /; rm -rf ${place.work}`;
  const script =
    `${OPEN_PORT}; ${place.enter} || exit 1; said=$( { ${use.receiving}; } | { tar -xpBf - -C content 3<&- && ${place.move}; } 2>&1); status=$?; ` +
    `${remove}; [ $status = 0 ] && exit 0; printf %s "\${said:\${#said} > 4000 ? \${#said} - 4000 : 0}" >&2; exit ${UNPACK_FAILED}`;
  const stop = new AbortController();
  const { signal, timeout } = options;
  const running = shell.exec(script, {
    timeout,
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
  });
  const over = new AbortController();
  const result = running.finally(() => over.abort());
  result.catch(() => {});
  try {
    let sent = 0;
    let packed: Packed | undefined;
    const packing = packInPieces(source, PORT_PIECE_BYTES, async (piece, { entries }) => {
      await use.send(piece, over.signal);
      sent += piece.length;
      options.onProgress?.({ bytes: sent, entries });
    }).then((all) => {
      packed = all;
      return use.finish(over.signal);
    });
    await packing.catch((error: unknown) => {
      // When tar fails the script ends, and its error says more. Its end may also be known before its last answer.
      if (!over.signal.aborted) throw error;
    });
    const ended = await result;
    if (ended.exitCode === NO_PORT) return undefined;
    if (ended.exitCode === UNPACK_FAILED)
      throw new QmpilotError('COPY_FAILED', `the guest cannot unpack the archive: ${ended.stderr.trim()}`);
    assertEntered(ended, place);
    if (!packed) throw new QmpilotError('COPY_FAILED', 'the guest ended the copy before it had read all of it');
    return packed;
  } catch (error) {
    stop.abort(error);
    await result.catch(() => {});
    await shell.exec(removal(place.work), { patience: 30_000 }).catch(() => {});
    throw error;
  }
}

/** What a killed tar has opened may be written for a moment. */
function removal(work: string): string {
  return `cd /; for i in $(seq 100); do rm -rf ${work} 2>/dev/null; [ -e ${work} ] || break; sleep 0.05; done`;
}

/** Commands take one piece of the archive each from their input, and write it to the pipe of a tar that runs beside them. */
async function copyOverConsole(shell: Shell, source: Source, place: Place, options: CopyOptions): Promise<Packed> {
  const wait = { signal: options.signal, timeout: options.timeout };
  // The pipe and what tar says are not on the target's file system, which may be full.
  const id = `qmpilot-copy-${randomBytes(6).toString('hex')}`;
  const enterState = `{ cd /run/${id} || cd /tmp/${id}; } 2>/dev/null`;
  const content = `${place.work}/content`;
  try {
    assertEntered(
      await shell.exec(
        `${place.enter} && { { mkdir -m 700 /run/${id} 2>/dev/null && cd /run/${id}; } || { mkdir -m 700 /tmp/${id} && cd /tmp/${id}; }; } && mkfifo archive && ` +
          // One that holds the pipe open, so that the archive does not end between two pieces.
          `{ (sleep 2147483647 >archive & echo $! >holder; wait) </dev/null >/dev/null 2>&1 & (tar -xpBf archive -C ${content} 2>said; echo $? >ended) </dev/null >/dev/null 2>&1 & } || exit 1; until [ -s holder ]; do sleep 0.05; done`,
        wait,
      ),
      place,
    );
    let sent = 0;
    const packed = await packInPieces(source, CONSOLE_PIECE_BYTES, async (piece, { entries }) => {
      // Without tar the pipe has no reader: opening it must not block forever.
      const put = `${enterState} || exit 1; exec 3<&0; cat <&3 >archive & p=$!; while kill -0 $p 2>/dev/null; do [ -s ended ] && { kill $p; cat said >&2; exit 1; }; sleep 0.02; done; wait $p || { cat said >&2; exit 1; }`;
      const { exitCode, stderr } = await shell.exec(put, { ...wait, input: piece });
      if (exitCode !== 0)
        throw new QmpilotError('COPY_FAILED', `the guest cannot unpack the archive: ${stderr.trim()}`);
      sent += piece.length;
      options.onProgress?.({ bytes: sent, entries });
    });
    const ended = await shell.exec(
      `${enterState} && kill "$(cat holder)"; until [ -s ended ]; do sleep 0.05; done; s=$(cat ended); ` +
        `[ "$s" = 0 ] && cd ${place.work} && ${place.move} && exit 0; ${enterState}; cat said >&2; exit 1`,
      wait,
    );
    if (ended.exitCode !== 0) throw new QmpilotError('COPY_FAILED', `tar in the guest failed: ${ended.stderr.trim()}`);
    return packed;
  } finally {
    const stop = `${enterState} && kill "$(cat holder)" 2>/dev/null; rm -rf /run/${id} /tmp/${id}`;
    await shell.exec(`${stop}; ${removal(place.work)}`, { patience: 30_000 }).catch(() => {});
  }
}
