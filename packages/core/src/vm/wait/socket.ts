import { bashWord } from '../../shell/quote.js';
import { PATH } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { lastError, look } from './look.js';
import type { Wait } from './wait.js';

/**
 * Waits until a Unix socket in the guest takes connections (or datagrams): the file is there, and a process listens on it. An
 * abstract socket has an `@` before its name. Does not connect.
 */
export function forSocket(path: string): Wait<string> {
  validate(PATH, path, 'waitForSocket: path');
  const word = bashWord(path);
  // Columns of /proc/net/unix: flags with __SO_ACCEPTCON when it listens, type 2 for datagrams, the path as it was bound.
  const isBound = '[ "$flags" = 00010000 ] || [ "$type" = 0002 ]';
  const isSame = path.startsWith('@') ? `[ "$path" = ${word} ]` : `[ "$path" -ef ${word} ]`;
  const search = `while read -r _ _ _ flags type _ _ path; do { ${isBound}; } && ${isSame} && exit 0; done < /proc/net/unix`;
  const explain = path.startsWith('@') ? `echo 'no such socket' >&2` : `ls -ld -- ${word} >&2`;
  return {
    awaited: `the socket ${path} in the guest`,
    async probe(target, signal) {
      const found = await look(target, signal, `${search}; ${explain}; exit 1`);
      if (typeof found === 'string') return { met: false, saw: found };
      if (found.exitCode === 0) return { met: true, value: path };
      const seen = lastError(found);
      return { met: false, saw: seen.startsWith('ls:') ? seen : `nobody listens: ${seen}` };
    },
  };
}
