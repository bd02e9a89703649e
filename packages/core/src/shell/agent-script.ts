import { bashWord } from './quote.js';

/*
 * The agent is a loop in bash. A request is one line, `: qmpilot VERB NONCE ARGUMENTS NONCE`: to a shell that is no
 * agent it is the null command, and a line that lost its end is not carried out. On a guest emulated
 * by TCG each program costs tens of milliseconds, so a command that uses builtins only starts none but the
 * subshell it runs in: its output goes to files in a tmpfs, and `read` and `printf` bring it out.
 *
 * Marks (see frames.ts): P pong, R ready for input, B stdout begins, O stdout ended and stderr begins,
 * X exit status, `k` behind it when the command was killed by Ctrl-C; while streaming: S begin,
 * e and E a piece of stderr (E: with a line end behind it), Y stderr ended. Perl, where there is one, passes stderr to the byte.
 *
 * QEMU drops what a virtconsole's guest writes while the host's socket is full (hw/char/virtio-console.c, flush_buf), so no more
 * may be under way than a socket holds: for each 16 KiB the host answers a line, `.` or, for stderr of a stream, `!`. A
 * stream in a guest without perl goes without.
 */
const SCRIPT = String.raw`
exec 2>/dev/null
stty raw -echo isig noflsh intr ^C quit undef susp undef
__qL=\${LC_ALL-}; LC_ALL=C
export HOME=\${HOME:-/root} PATH=\${PATH:-/usr/sbin:/usr/bin:/sbin:/bin}
unset __qA; set -m; trap __qa=k INT
for __qd in /run /dev/shm /tmp; do
  __qd=$__qd/qmpilot-shell.$$; mkdir -p -m 700 "$__qd"; [[ -w $__qd ]] && break
done
__qk=0; __qi=/dev/null; __qr=$(type -P perl)
mkfifo "$__qd/f" "$__qd/g"; exec 6<>"$__qd/f" 5<>"$__qd/g"
__qm() { printf "\1%s%s%d:%s" "$1" "$__qn" "\${#2}" "$2"; }
__qR='
  ($n, $f, $fd, $w) = @ARGV; open A, "<&=", $fd; $b = ""; $m = "\n\1$n\n";
  sub out {
    return if !length $_[0];
    my $d = $f ? "\1e$n" . length($_[0]) . ":" . $_[0] : $_[0]; my $o = 0;
    while ($o < length $d) { my $k = syswrite STDOUT, $d, length($d) - $o, $o; exit if !defined $k; $o += $k }
    $w += length $_[0];
    while ($w > ($f ? 16384 : 32768)) { my $a; sysread(A, $a, 64) or exit; $w -= 16384 * ($a =~ tr/.//) }
  }
  while (sysread STDIN, $d, 16384) {
    if (!$f) { out($d); next }
    $b .= $d; $i = index $b, $m;
    if ($i >= 0) { out(substr $b, 0, $i); last }
    $k = length $m; 1 while --$k and substr($b, -$k) ne substr($m, 0, $k);
    out(substr $b, 0, length($b) - $k); $b = $k ? substr $b, -$k : "";
  }
  syswrite STDOUT, "\1Y$n" . "0:" if $f;'
__qe() {
  [[ -s $1 ]] || return
  local x k
  exec 9<"$1"
  if IFS= read -r -d "" -n 32768 -u 9 x; then
    if ((\${#x} == 32768)); then printf %s "$x"; else printf "%s\0" "$x"; fi
    set +m
    if [[ $__qr ]]; then perl -e "$__qR" -- "$__qn" "" 3 "\${#x}" 3<&0 <&9 9<&-; else
      k=$(wc -c <"$1")
      for ((k -= \${#x}; k > 0; k -= 16384)); do
        head -c 16384 <&9
        ((k > 16384)) && IFS= read -r __ql
      done
    fi
    set -m
  else
    printf %s "$x"
  fi
  exec 9<&-
  : >"$1"
}
__qb() {
  trap - INT
  if [[ $__qL ]]; then LC_ALL=$__qL; else unset LC_ALL; fi
  eval "unset -v \${!__q@}; set --; $__qc"
}
__qx() {
  local __qg
  __qa=; __qk=$((__qk + 1))
  if ((__qk % 64 == 0)); then __qg=("$__qd"/[oe][0-9]*); rm -f "\${__qg[@]}" & fi
  ( __qb ) <"$__qi" >"$__qd/o$__qk" 2>"$__qd/e$__qk" 5>&- 6>&- &
  __qp=$!
  wait $__qp; __qs=$?
  [[ $__qa ]] && { kill -KILL -- -$__qp; __qs=137; }
  __qm B ""; __qe "$__qd/o$__qk"; __qm O ""; __qe "$__qd/e$__qk"; __qm X "$__qs$__qa"
}
__qy() {
  [[ $__qr ]] && exec perl -e "$__qR" -- "$__qn" 1 5 0
  local l s a=
  while :; do
    IFS= read -r -t 0.2 -n 512 l; s=$?
    l=$a$l; a=
    if ((s > 128)); then
      if [[ $l == $'\1'* ]]; then a=$l; elif [[ $l ]]; then __qm e "$l"; fi
    elif ((s == 0)); then
      if [[ $l == $'\1'"$__qn" ]]; then break; elif ((\${#l} >= 512)); then __qm e "$l"; else __qm E "$l"; fi
    else
      [[ $l ]] && __qm e "$l"; break
    fi
  done
  __qm Y ""
}
__qw() {
  __qa=
  while IFS= read -r -n 64 -t 0.01 -u 6 __ql; do :; done
  while IFS= read -r -n 64 -t 0.01 -u 5 __ql; do :; done
  __qm S ""
  {
    exec 8> >(trap - INT; __qy)
    exec > >(trap - INT; [[ $__qr ]] && exec perl -e "$__qR" -- "$__qn" "" 6 0; exec cat)
    ( exec 2>&8 5>&- 6>&- 8>&-; __qb ) <"$__qi"
    __qs=$?
    printf "\n\1%s\n" "$__qn" >&8
    __qm X "$__qs"
  } &
  __qp=$!
  while :; do
    __ql=; IFS= read -r __ql || (($? > 128)) || exit
    [[ $__qa ]] && { __qa=; kill -KILL -- -$__qp; __qm X 137k; __qm Y ""; }
    case $__ql in
      .) printf . >&6 ;;
      !) printf . >&5 ;;
      ": qmpilot "*) break ;;
    esac
  done
  kill -KILL -- -$__qp
}
__qh() {
  set +m; stty -isig; __qm R ""
  if (($2)); then head -c "$1" >>"$__qd/i"; else head -c "$1" >"$__qd/i"; fi
  __qs=$?; stty isig; set -m; __qm X "$__qs"
}
while :; do
  IFS= read -r __ql || { (($? > 128)) && continue; exit; }
  __qn=\${__ql:15:16}
  [[ $__ql == ": qmpilot "????" $__qn "* && $__ql == *" $__qn" ]] || continue
  __qv=\${__ql:10:4}; __ql=\${__ql:32}; __ql=\${__ql% *}
  case $__qv in
    ping) __qm P "" ;;
    quit) __qm P ""; exit ;;
    exec) eval "$__ql"; __qx ;;
    flow) eval "$__ql"; __qw ;;
    recv) __qh $__ql ;;
  esac
done
`.replaceAll('\\$', '$');

const LINE_CHARACTERS = 900;

/**
 * The lines that turn a bash which reads them from its terminal into the agent. Short ones: a terminal in canonical
 * mode takes at most 4095 bytes a line. A copy that was garbled on the way is not started.
 */
export function agentInstallation(): string {
  const source = SCRIPT.trim();
  const lines = [' __qA='];
  for (let at = 0; at < source.length; at += LINE_CHARACTERS) {
    lines.push(` __qA+=${bashWord(source.slice(at, at + LINE_CHARACTERS))}`);
  }
  // By its environment, so that a process list does not show the whole text.
  lines.push(` [ \${#__qA} = ${source.length} ] && export __qA && exec "$BASH" --noprofile --norc -c 'eval "$__qA"' bash`);
  return `${lines.join('\n')}\n`;
}
