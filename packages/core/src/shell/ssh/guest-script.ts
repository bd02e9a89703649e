import { shQuote } from '../../util/text/sh-quote.js';

/** The port that the daemon of ours listens on in the guest: whatever the guest itself has on 22 is left alone. */
export const GUEST_PORT = 22_022;

/**
 * Source for sh, run as root in the console shell: lets the key in, starts dropbear or OpenSSH's sshd with a host key of its own unless it
 * runs already, and prints that key's public half.
 */
export function setUpScript(user: string, publicKey: string): string {
  return `
umask 77
d=/run/qmpilot-ssh; mkdir -p $d || exit 1
home=$(getent passwd ${shQuote(user)} | cut -d: -f6)
[ -d "$home" ] || { echo "there is no user ${user.replace(/[^\w-]/g, '?')} with a home" >&2; exit 3; }
mkdir -p "$home/.ssh"; touch "$home/.ssh/authorized_keys"
grep -qF ${shQuote(publicKey)} "$home/.ssh/authorized_keys" || echo ${shQuote(publicKey)} >> "$home/.ssh/authorized_keys"
chown -R ${shQuote(user)}: "$home/.ssh"
dropbear=$(command -v dropbear) key=$(command -v dropbearkey); sshd=$(command -v sshd) keygen=$(command -v ssh-keygen)
running() { [ -s $d/pid ] && kill -0 "$(cat $d/pid)" 2>/dev/null; }
if [ "$dropbear" ] && [ "$key" ]; then
  [ -s $d/host ] || "$key" -t ed25519 -f $d/host >/dev/null 2>&1 || exit 1
  running || "$dropbear" -s -j -k -r $d/host -p ${GUEST_PORT} -P $d/pid </dev/null >/dev/null 2>&1 || exit 1
  "$key" -y -f $d/host | grep '^ssh-'
elif [ "$sshd" ] && [ "$keygen" ]; then
  [ -s $d/host ] || "$keygen" -q -t ed25519 -N '' -f $d/host || exit 1
  mkdir -p -m 755 /run/sshd
  printf '%s\\n' 'Port ${GUEST_PORT}' "HostKey $d/host" "PidFile $d/pid" 'PasswordAuthentication no' 'PermitRootLogin prohibit-password' > $d/config
  running || "$sshd" -f $d/config </dev/null >/dev/null 2>&1 || exit 1
  cat $d/host.pub
else
  echo "neither dropbear nor sshd is there" >&2; exit 4
fi`;
}

/** The command in a session of its own, its process id before its error output, a mark behind each output. */
export function remoteCommand(text: string, nonce: string): string {
  const inner = `echo ${nonce}:$$ >&2\n${text}`;
  const outer = `
cd "$HOME" 2>/dev/null
"$(command -v setsid || command -v env)" "$(command -v bash || command -v sh)" -c ${shQuote(inner)}
s=$?; printf '\\001${nonce}'; printf '\\001${nonce}%s\\n' $s >&2`;
  return `exec sh -c ${shQuote(outer)}`;
}
