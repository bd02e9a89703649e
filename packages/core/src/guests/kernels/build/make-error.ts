import { QmpilotError } from '../../../errors.js';

/** Creates the error for a `make` that failed, with the first error that the compiler, the linker or make itself printed. */
export function makeError(status: number | string, lines: readonly string[], tree: string): QmpilotError {
  const text = lines.join('\n');
  if (/source tree is not clean/.test(text))
    return new QmpilotError(
      'USAGE',
      `the kernel tree ${tree} was built in place, so that it cannot be built elsewhere`,
      {
        hint: `run make mrproper there, which removes the build and its .config, or boot the built tree: --kernel ${tree}`,
      },
    );
  const at = lines.findIndex((line) => /\berror:|fatal error|undefined reference|No such file|\*\*\*/.test(line));
  const first = at < 0 ? (lines.at(-1) ?? 'nothing was printed') : (lines[at] ?? '');
  return new QmpilotError('GUEST_BUILD', `the kernel could not be built: make ended with ${status}: ${first.trim()}`, {
    evidence: { stderr: at < 0 ? lines.slice(-20) : lines.slice(at, at + 20) },
    hint: hintFor(text),
  });
}

function hintFor(text: string): string {
  if (/No space left on device/.test(text)) return 'free some room in the build directory: a build takes about 1 GiB';
  if (/gelf\.h|libelf/.test(text)) return 'on Debian: apt-get install libelf-dev';
  if (/openssl\//.test(text)) return 'on Debian: apt-get install libssl-dev';
  return 'the lines after it are in the evidence; the next build continues where this one ended';
}
