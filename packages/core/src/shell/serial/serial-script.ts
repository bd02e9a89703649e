import { shQuote } from '../../util/text/sh-quote.js';
import { commandText } from '../command-text.js';
import type { ExecOptions } from '../exec-options.js';
import { INPUT_TAKEN, SHIFT } from './shifted.js';

/**
 * Typed at the prompt, and echoed: short, so that no line editor has to wrap it. A subshell, so that the interactive shell keeps
 * its variables; with the echo off it takes the rest from lines of its own.
 */
export const STUB = ` (g=$(stty -g);stty -echo;printf '\\${INPUT_TAKEN.toString(8)}';read -r q;eval "$q")`;

/** Reads lines until a lone dot and runs what they say: a terminal takes no line over 4095 bytes. */
export const LOADER = `q=;while IFS= read -r l&&[ "$l" != . ];do q="$q$l";done;eval "$(printf %b "$q")"`;

/** Characters of a line of source; an escape in octal is never cut, for lines are simply put together again. */
const SOURCE_LINE = 900;

/**
 * The guest's side of one command, for any POSIX shell with base64, cksum, head and tr. The outputs go to files; what is new in
 * them is sent in blocks, each with its checksum, and each again until the host says `k` and its number. Frames are a line
 * `NONCE NUMBER LETTER CRC LENGTH` and one of base64: r ready for input, o and e a block of an output, x the exit code at the end.
 *
 * The line `q` cancels the command at any moment, also before it has started. A line and not Ctrl-C: with an interrupt the terminal
 * discards the lines that are not read yet, and bash loses one that comes while a program in the foreground exits. So that the wait for
 * the command reads lines too, the terminal then returns from a read after 0.1 s; what `l` has read of a line stays in `a`. Not before:
 * without canonical mode bash reads beyond the line, and the subshell that reads the input would get what is not its own.
 */
export function serialScript(nonce: string, command: string, options: ExecOptions): string {
  const text = `echo $$ >"$QMPILOT_DIRECTORY/p"; unset QMPILOT_DIRECTORY\n${commandText(command, options, shQuote)}`;
  return `
trap 'k=1' INT; q=1; k=; a=
umask 77
for d in /run /dev/shm /tmp; do d=$d/qmpilot-serial.${nonce}; mkdir -p "$d" 2>/dev/null && break; done
S=$(command -v bash || command -v sh); E=$(command -v setsid)
v() { { echo; "$@"; echo; } | tr -d = | ${SHIFT}; }
u() { echo "${nonce} $n $1 $(cksum <"$2")"; base64 -w0 "$2"; }
l() { if read -r m; then m=$a$m; a=; else a=$a$m; return 1; fi; }
f() { n=$((n+1)); while :; do v u "$1" "$2"
  while :; do [ "$k" ] && return; l || continue; case $m in k$n|r$((n+1))) return;; q) k=$q;; r|r$n) break;; esac; done; done; }
s() { while head -c 65536 <&7 >"$d/b"; [ -s "$d/b" ] && [ -z "$k" ]; do f o "$d/b"; done
  while head -c 65536 <&8 >"$d/b"; [ -s "$d/b" ] && [ -z "$k" ]; do f e "$d/b"; done; }
n=0; : >"$d/i"; : >"$d/o"; : >"$d/e"; f r "$d/i"
[ "$k" ] || while :; do l || continue; case $m in .) break;; q) : >"$d/q"; break;; esac; echo "$m"; printf '\\${INPUT_TAKEN.toString(8)}' >/dev/tty; done | base64 -d >"$d/i"
exec 7<"$d/o" 8<"$d/e"; stty -icanon min 0 time 1
if [ "$k" ] || [ -e "$d/q" ]; then k=1; echo >"$d/x"; else
  ( ( umask 22; cd; QMPILOT_DIRECTORY=$d; export QMPILOT_DIRECTORY; trap - INT
      exec $E "$S" -c ${shQuote(text)} ) <"$d/i" >"$d/o" 2>"$d/e" 7<&- 8<&-
    echo $? >"$d/y"; mv "$d/y" "$d/x" ) 2>/dev/null &
  sleep 0.02; s
fi
until [ -e "$d/x" ] || [ "$k" ]; do l && [ "$m" = q ] && k=1; s; done
if [ "$k" ]; then
  for i in 1 2 3 4 5 6 7 8 9; do [ -s "$d/p" ] || [ -e "$d/x" ] || sleep 1; done
  if [ -s "$d/p" ]; then p=$(cat "$d/p"); kill -KILL -- "-$p" 2>/dev/null || kill -KILL "$p" 2>/dev/null; fi; c=137
else s; c=$(cat "$d/x"); fi
trap '' INT; q=; k=; echo "$c" >"$d/c"; f x "$d/c"
rm -rf "$d"; stty "$g"`;
}

/** The lines that bring source through a terminal in canonical mode, behind `LOADER`. */
export function sourceLines(source: string): string[] {
  const escaped = [...Buffer.from(source.trim())]
    .map((byte) =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\0${byte.toString(8).padStart(3, '0')}`,
    )
    .join('');
  const lines = [];
  for (let at = 0; at < escaped.length; at += SOURCE_LINE) lines.push(escaped.slice(at, at + SOURCE_LINE));
  return [...lines, '.'];
}
