import { randomBytes } from 'node:crypto';
import type { ConsoleShell } from '../../shell/console-shell/console-shell.js';

export interface ReseedOptions {
  /** The time to set the guest's clock to; undefined leaves it. */
  readonly clock: Date | undefined;
  /** Left in the guest as /run/qmpilot/seed. */
  readonly seed: number;
}

/** x86-64 Linux: clock_settime; RNDRESEEDCRNG of linux/random.h, which takes what was mixed in before into use at once. */
const SYS_CLOCK_SETTIME = 227;
const RNDRESEEDCRNG = 0x5207;
const DIRECTORY = '/run/qmpilot';
/** In a tmpfs: a guest that rebooted has lost it. */
export const NONCE_FILE = `${DIRECTORY}/nonce`;
/** How long the helper may take before a program is started in its place, in seconds. */
const HELPER_TIMEOUT_S = 5;
const TIMEOUT = '20s';

/** Takes lines `SECONDS NANOSECONDS ENTROPY`, answers `y` or `n` to each; seconds below 0 leave the clock. */
const HELPER = [
  '$0="qmpilot-reseed"',
  'open(U,">","/dev/urandom") or exit 1',
  'while(sysread(STDIN,$l,256)){' +
    '($s,$n,$e)=split " ",$l;' +
    `$ok=syswrite(U,pack("H*",$e))&&ioctl(U,${RNDRESEEDCRNG},0);` +
    `$ok=0 if $s>=0&&syscall(${SYS_CLOCK_SETTIME},0,pack("qq",$s,$n))!=0;` +
    'syswrite(STDOUT,$ok?"y\\n":"n\\n")}',
].join(';');

/**
 * Leaves `nonce` in the guest's RAM, and starts a helper that a snapshot then holds: to start a program under TCG takes half a second of a processor in
 * each fork, for nothing of it is translated yet. Where there is no perl, `reseed` does without.
 */
export async function prepareReseed(
  shell: ConsoleShell,
  nonce: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const start = `mkdir -p -m 700 ${DIRECTORY} && cd ${DIRECTORY} && rm -f ask answer && mkfifo -m 600 ask answer && { setsid perl -e '${HELPER}' <>ask 1<>answer 2>/dev/null & echo $! >helper; } && exec 3<>ask 4<>answer`;
  const tryOut = `printf '%s\\n' '-1 0 00' >&3; IFS= read -r -t ${HELPER_TIMEOUT_S} ok <&4; [[ $ok == y ]]`;
  const mark = `{ [[ -d ${DIRECTORY} ]] || mkdir -p -m 700 ${DIRECTORY}; } && echo ${nonce} >${NONCE_FILE} || exit`;
  await shell.expectOk(
    `${mark}; ${isHelperThere()} || { type -P perl && ${start} && { ${tryOut} || kill -9 "$(<helper)"; }; } || :`,
    { signal, patience: '10s' },
  );
}

/**
 * Gives a restored guest the time and random numbers of its own: all forks of a snapshot start with the same ones. Debian's cloud kernel has no driver for QEMU's generation id, so the host brings the entropy. By the helper, else
 * by a program; without perl the kernel takes the entropy into use within a minute.
 */
export async function reseed(shell: ConsoleShell, { clock, seed }: ReseedOptions): Promise<void> {
  const entropy = randomBytes(32).toString('hex');
  const [seconds, nanoseconds] =
    clock === undefined ? [-1, 0] : [Math.floor(clock.getTime() / 1000), (clock.getTime() % 1000) * 1_000_000];
  const ask = `${seconds} ${nanoseconds} ${entropy}`;
  const helped = `{ printf '%s\\n' '${ask}' >&3; IFS= read -r -t ${HELPER_TIMEOUT_S} __ql <&4; [[ $__ql == y ]]; } 3<>${DIRECTORY}/ask 4<>${DIRECTORY}/answer`;
  if (
    (await shell.here(`${isHelperThere()} && echo ${seed} >${DIRECTORY}/seed && ${helped}`, { patience: TIMEOUT })) ===
    0
  )
    return;
  const program = `[[ $(perl -e '${HELPER}' <<<'${ask}') == y ]]`;
  const plain = [
    `printf %b '${entropy.replaceAll(/../g, '\\x$&')}' > /dev/urandom`,
    ...(clock === undefined ? [] : [`date -u -s @${seconds}.${String(nanoseconds).padStart(9, '0')}`]),
  ];
  await shell.exec(
    `mkdir -p -m 700 ${DIRECTORY}; echo ${seed} >${DIRECTORY}/seed; ${program} || { ${plain.join('; ')}; }`,
    { patience: TIMEOUT },
  );
}

/** The helper's files may be those of a helper that has ended. */
function isHelperThere(): string {
  return `{ [[ -s ${DIRECTORY}/helper ]] && kill -0 "$(<${DIRECTORY}/helper)" 2>/dev/null; }`;
}
