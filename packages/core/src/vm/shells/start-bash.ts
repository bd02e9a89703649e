/** Source for a shell that kills all processes whose standard input is this console. Twice: the first pass may kill a bash before its parent. */
export function killOnConsole(console: string): string {
  return `for q in 1 2; do for p in /proc/[0-9]*; do [ "$p/fd/0" -ef /dev/${console} ] && kill -9 "\${p#/proc/}"; done; done 2>/dev/null; true`;
}

/**
 * Source that starts a bash on a console, again when a command has killed it: its prompt tells the host, and nothing else would.
 * A session leader that opens a terminal gets it as its own. A bash of a VM that was forked, or restored, may be there already.
 */
export function startBash(console: string): string {
  const environment = 'TERM=dumb HOME=/root USER=root LOGNAME=root HISTFILE=/dev/null';
  const start = `exec bash --norc --noprofile <>/dev/${console} >&0 2>&0`;
  const untilItExits = `while ${environment} setsid sh -c '${start}'; [ $? -gt 128 ]; do :; done`;
  return `${killOnConsole(console)}; cd /root; (${untilItExits}) <>/dev/${console} >/dev/null 2>&1 &`;
}
