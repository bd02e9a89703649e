/**
 * Source for a shell that kills all processes whose standard input is this console, and waits until they are gone, at most a second:
 * the end of a session leader hangs its terminal up, also for those that opened it in the meantime.
 */
export function killOnConsole(console: string): string {
  const kill = `for p in /proc/[0-9]*; do [ "$p/fd/0" -ef /dev/${console} ] && kill -9 "\${p#/proc/}" && f=1; done`;
  return `for i in 1 2 3 4 5 6 7 8 9 10; do f=; ${kill}; [ "$f" ] || break; sleep 0.1; done 2>/dev/null; true`;
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
