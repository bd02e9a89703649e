/**
 * The script walks /proc with shell builtins only: no process is started per thread, so that it stays cheap on a guest
 * without KVM. It runs in bash, dash and busybox ash. Layouts: proc_pid_stat(5), proc_pid_status(5), proc_pid_cgroup(5).
 * A comm may hold spaces, parentheses, tabs and line ends: what follows the last `) ` of stat is the kernel's own.
 */
const BODY = String.raw`
qmpilot_threads() {
  nl='
' ifs=$IFS seen=0
  if [ -n "$BASH_VERSION" ]; then slurp() { s=; IFS= read -r -d '' s <"$1"; [ -n "$s" ]; }
  else slurp() { s=; while IFS= read -r l || [ -n "$l" ]; do s="$s$l$nl"; done <"$1"; [ -n "$s" ]; }; fi
  slurp /proc/self/status; tab=\${s#Name:} tab=\${tab%"\${tab#?}"}
  clean() { set -f; IFS="$tab$nl"; set -- $1; IFS=' '; c="$*"; IFS=$ifs; set +f; }
  slurp /proc/uptime; set -- $s
  printf 'qmpilot-threads\t1\t%s\n' "$1"
  for f in /proc/[0-9]*/task/[0-9]*/stat; do
    slurp "$f" || continue
    seen=$((seen + 1))
    case $s in *') D '*) ;; *) continue ;; esac
    set -- \${s##*) }
    [ "$1" = D ] || continue
    flags=$7 start=\${20}
    clean "\${s#*(}"; comm=\${c%)*}
    d=\${f%/stat} tid=\${f%/stat} tid=\${tid##*/} pid=\${f#/proc/} pid=\${pid%%/*}
    switches=- pending=-
    if slurp "$d/status"; then
      v=\${s#*"$nl"voluntary_ctxt_switches:} v=\${v%%"$nl"*}
      n=\${s#*"$nl"nonvoluntary_ctxt_switches:} n=\${n%%"$nl"*}
      case $v$n in *[!0-9"$tab "]*|'') ;; *) switches=$((v + n)) ;; esac
      p=\${s#*"$nl"ShdPnd:} p=\${p%%"$nl"*} q=\${s#*"$nl"SigPnd:} q=\${q%%"$nl"*}
      clean "$p $q"; pending=$c
    fi
    wchan=-; if slurp "$d/wchan"; then clean "$s"; wchan=$c; fi
    cgroup=-
    if slurp "$d/cgroup"; then
      case "$nl$s" in
        *"$nl"0::*) v="$nl$s" v=\${v#*"$nl"0::} ;;
        *:name=systemd:*) v=\${s#*:name=systemd:} ;;
        *) v=- ;;
      esac
      clean "\${v%%"$nl"*}"; cgroup=$c
    fi
    leader=- lcomm=- count=-
    if slurp "/proc/$pid/stat"; then
      set -- \${s##*) }
      leader=$1 count=\${18}
      clean "\${s#*(}"; lcomm=\${c%)*}
    fi
    stack=-
    STACK
    printf 'D\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$pid" "$tid" "$flags" "$start" "$switches" \
      "$pending" "$wchan" "$leader" "$count" "$cgroup" "$lcomm" "$comm" "$stack"
  done
  printf 'end\t%s\n' "$seen"
}
qmpilot_threads 2>/dev/null
`;

const STACK = `if slurp "$d/stack"; then clean "$s"; stack=$c; fi`;

/**
 * A shell command that prints every thread in state D: about 1 ms a hundred threads on a host with KVM.
 * `stacks` adds kernel stacks where root may read them. A task that hangs inside execve() holds the lock which reading
 * its stack takes, and the reader then hangs as well: ask for stacks once something was found, not in every sample.
 */
export function threadSampleScript(options: { readonly stacks?: boolean } = {}): string {
  return BODY.replaceAll(String.raw`\${`, '${')
    .replace('    STACK\n', options.stacks === true ? `    ${STACK}\n` : '')
    .trim();
}

/** {@link threadSampleScript} without stacks: for one sample about every second. */
export const THREAD_SAMPLE_SCRIPT: string = threadSampleScript();

/** Bytes of a sample that are taken: many times what ten thousand blocked threads with their stacks are; a guest could send without an end. */
export const MAX_SAMPLE_BYTES = 32 << 20;
