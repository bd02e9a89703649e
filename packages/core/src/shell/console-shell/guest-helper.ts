import { bashWord } from '../quote.js';

/*
 * The helper is a loop in bash. A request is one line, `: qmpilot VERB NONCE ARGUMENTS NONCE`: another
 * shell takes it for the null command, and a line that lost its end is not carried out. On a guest emulated
 * by TCG each program costs tens of milliseconds and each fork several, so a command that uses builtins only starts none: the
 * subshell it runs in was forked while the command before ran (`__qf`) and waits for a line on its fifo, of two in turn; the command
 * is in the file `c`. Its output goes to files in a tmpfs, and `read` and `printf` bring it out. When the helper ends, the fifos
 * end, and so does the subshell.
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
__qk=0; __qi=; __qr=$(type -P perl)
mkfifo "$__qd/f" "$__qd/g" "$__qd/0" "$__qd/1"
exec 6<>"$__qd/f" 5<>"$__qd/g" 4<>"$__qd/0" 7<"$__qd/0" 3<>"$__qd/1" 8<"$__qd/1"
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
__qB() {
  trap - INT
  if [[ $__qL ]]; then LC_ALL=$__qL; else unset LC_ALL; fi
  set --
}
__qu() { if (($1 % 2)); then read -t 0 -u 8; else read -t 0 -u 7; fi; }
__qt() { if (($1 % 2)); then IFS= read -r -u 8 __ql; else IFS= read -r -u 7 __ql; fi; }
__qf() {
  __qk=$((__qk + 1))
  while __qu $__qk; do __qt $__qk; done
  (
    __qB; exec 3>&- 4>&- 5>&- 6>&-
    __qt $__qk || exit
    exec 7<&- 8<&-
    . "$__qd/c"
    [[ $__qi ]] && exec <"$__qi"
    eval "unset -v \${!__q@}; $__qc"
  ) </dev/null >"$__qd/o$__qk" 2>"$__qd/e$__qk" &
  __qp=$!
}
__qx() {
  local __qK __qP __qO __qE __qF __qG
  if ! printf "__qi=; %s\n" "$__ql" >"$__qd/c"; then
    printf "\1B%s0:\1O%s0:%s: no room for the command\n\1X%s3:125" "$__qn" "$__qn" "$__qd" "$__qn"
    return
  fi
  for __qj in 1 2; do
    __qa=
    kill -0 $__qp || __qf
    __qK=$__qk __qP=$__qp
    if ((__qK % 2)); then printf "\n" >&3; else printf "\n" >&4; fi
    __qf
    wait $__qP; __qs=$?
    [[ $__qa ]] && { kill -KILL -- -$__qP; __qs=137; break; }
    __qu $__qK || break
  done
  if { [[ ! -s $__qd/o$__qK ]] || ! IFS= read -r -d "" -n 32768 __qO <"$__qd/o$__qK"; } &&
     { [[ ! -s $__qd/e$__qK ]] || ! IFS= read -r -d "" -n 32768 __qE <"$__qd/e$__qK"; }; then
    __qs=$__qs$__qa
    printf "\1B%s0:%s\1O%s0:%s\1X%s%d:%s" "$__qn" "$__qO" "$__qn" "$__qE" "$__qn" "\${#__qs}" "$__qs"
    [[ $__qO ]] && : >"$__qd/o$__qK"
    [[ $__qE ]] && : >"$__qd/e$__qK"
  else
    __qm B ""; __qe "$__qd/o$__qK"; __qm O ""; __qe "$__qd/e$__qK"; __qm X "$__qs$__qa"
  fi
  if ((__qK % 64 == 0)); then
    __qG=()
    for __qF in "$__qd"/[oe][0-9]*; do [[ $__qF == *[oe]$__qk ]] || __qG+=("$__qF"); done
    rm -f "\${__qG[@]}" &
  fi
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
  local p
  __qa=
  while IFS= read -r -n 64 -t 0.01 -u 6 __ql; do :; done
  while IFS= read -r -n 64 -t 0.01 -u 5 __ql; do :; done
  __qm S ""
  {
    exec 8> >(trap - INT; __qy)
    exec > >(trap - INT; [[ $__qr ]] && exec perl -e "$__qR" -- "$__qn" "" 6 0; exec cat)
    ( exec 2>&8 3>&- 4>&- 5>&- 6>&- 7<&- 8>&-; __qB; eval "unset -v \${!__q@}; $__qc" ) <"\${__qi:-/dev/null}"
    __qs=$?
    printf "\n\1%s\n" "$__qn" >&8
    __qm X "$__qs"
  } &
  p=$!
  while :; do
    __ql=; IFS= read -r __ql || (($? > 128)) || exit
    [[ $__qa ]] && { __qa=; kill -KILL -- -$p; __qm X 137k; __qm Y ""; }
    case $__ql in
      .) printf . >&6 ;;
      !) printf . >&5 ;;
      ": qmpilot "*) break ;;
    esac
  done
  kill -KILL -- -$p
}
__qh() {
  set +m; stty -isig; __qm R ""
  if (($2)); then head -c "$1" >>"$__qd/i"; else head -c "$1" >"$__qd/i"; fi
  __qs=$?; stty isig; set -m; __qm X "$__qs"
}
__qf
while :; do
  IFS= read -r __ql || { (($? > 128)) && continue; exit; }
  __qn=\${__ql:15:16}
  [[ $__ql == ": qmpilot ping $__qn $__qn" ]] && { printf "\1P%s0:" "$__qn"; continue; }
  [[ $__ql == ": qmpilot "????" $__qn "* && $__ql == *" $__qn" ]] || continue
  __qv=\${__ql:10:4}; __ql=\${__ql:32}; __ql=\${__ql% *}
  case $__qv in
    quit) __qm P ""; exit ;;
    exec) __qx ;;
    flow) __qi=; eval "$__ql"; __qw ;;
    recv) __qh $__ql ;;
    here) eval "$__ql"; __qm X "$?" ;;
  esac
done
`.replaceAll('\\$', '$');

const LINE_CHARACTERS = 900;

/** Whether output has lines of `helperInstallation` in it: the terminal echoes what is sent to a bash. */
export function hasInstallation(output: string): boolean {
  return output.includes(' __qA+=');
}

/**
 * The lines that turn a bash which reads them from its terminal into the helper. Short ones: a terminal in canonical
 * mode takes at most 4095 bytes a line. A copy that was garbled on the way is not started.
 */
export function helperInstallation(): string {
  const source = SCRIPT.trim();
  // Readline draws the line again for each character: most of the time under TCG.
  const lines = [' set +o emacs +o vi', ' __qA='];
  for (let at = 0; at < source.length; at += LINE_CHARACTERS) {
    lines.push(` __qA+=${bashWord(source.slice(at, at + LINE_CHARACTERS))}`);
  }
  // By its environment, so that a process list does not show the whole text.
  lines.push(
    ` [ \${#__qA} = ${source.length} ] && export __qA && exec "$BASH" --noprofile --norc -c 'eval "$__qA"' bash`,
  );
  return `${lines.join('\n')}\n`;
}
