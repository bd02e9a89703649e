/** A program of Node.js that overflows the completion queue of its ring at once: with `UV_USE_IO_URING=1`. */
export const OVERFLOW = `const { lstat } = require('node:fs').promises;
(async () => {
  for (let round = 0; round < 20; round++)
    await Promise.all(Array.from({ length: 100000 }, () => lstat('/etc/passwd')));
})();
`;
