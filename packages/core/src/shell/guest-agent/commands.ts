import { shQuote } from '../../util/text/sh-quote.js';
import { commandText } from '../command-text.js';
import type { ExecOptions } from '../exec-options.js';

/** Facts about the guest, probed once: a directory for files, the program that runs commands, whether `setsid` exists. */
export interface AgentSurroundings {
  readonly folder: string;
  readonly shell: string;
  readonly setsid: string;
}

export const SURVEY = `
for d in /run /dev/shm /tmp; do [ -d "$d" ] && [ -w "$d" ] && break; done
echo "$d"; command -v bash || command -v sh; command -v setsid || echo`;

export function parseSurvey(text: string): AgentSurroundings | undefined {
  const [folder, shell, setsid] = text.split('\n');
  return folder?.startsWith('/') && shell?.startsWith('/') ? { folder, shell, setsid: setsid ?? '' } : undefined;
}

/** Outputs up to this size are part of the answer that reports the end of the command. */
const INLINE_OUTPUT = 65_536;

/**
 * Source for sh that runs a command in a session of its own, its outputs in the files `o` and `e` of `directory`. At its end
 * the first line of output is the exit code; small outputs follow, on both outputs, and the files are gone then; else the
 * line says `spooled` behind the code. Children left in the background hold the files, not the pipe to the agent.
 */
export function wrapCommand(
  command: string,
  options: ExecOptions,
  { shell, setsid }: AgentSurroundings,
  directory: string,
  live: boolean,
): string {
  const text = `echo $$ >${directory}/p\n${commandText(command, options, shQuote)}`;
  return `
umask 77; d=${directory}; mkdir -p "$d" || exit 1
export HOME="\${HOME:-/root}" USER="\${USER:-root}" LOGNAME="\${LOGNAME:-root}"
cd "$HOME" 2>/dev/null || cd /
[ -e "$d/i" ] && exec <"$d/i"
( umask 22; exec ${setsid} ${shell} -c ${shQuote(text)} ) >"$d/o" 2>"$d/e"
s=$?
${live ? 'echo "$s spooled"; exit' : ''}
if [ "$(($(wc -c <"$d/o") + $(wc -c <"$d/e")))" -le ${INLINE_OUTPUT} ]; then
  echo "$s"; cat "$d/o"; cat "$d/e" >&2; rm -rf "$d"
else
  echo "$s spooled"
fi`;
}

/** Kills everything that still runs in the command's session, or the command alone where it has none. Prints `sent` when it has begun. */
export function killCommand(directory: string): string {
  return `p=$(cat ${directory}/p 2>/dev/null) && [ "$p" ] && { kill -KILL -- "-$p" || kill -KILL "$p"; echo sent; } 2>/dev/null`;
}

export function removeSpool(directory: string): string {
  return `rm -rf ${directory}`;
}
