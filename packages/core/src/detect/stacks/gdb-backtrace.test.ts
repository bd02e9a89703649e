import { describe, expect, it } from 'vitest';
import { parseGdbBacktrace, parseGdbThreads } from './gdb-backtrace.js';

/** From the bug report, to the letter. */
const REPORT = `0x00007ffff51fb086 in epoll_pwait ()
   from /nix/store/c10zhkbp6jmyh0xc5kd123ga8yy2p4hk-glibc-2.39-52/lib/libc.so.6
(gdb) where
#0  0x00007ffff51fb086 in epoll_pwait ()
   from /nix/store/c10zhkbp6jmyh0xc5kd123ga8yy2p4hk-glibc-2.39-52/lib/libc.so.6
#1  0x00007ffff7f92140 in uv.io_poll ()
   from /nix/store/arhy8i96l81wz3zrldiwcmiax2gc2w7s-libuv-1.48.0/lib/libuv.so.1
#2  0x00007ffff7f7f910 in uv_run ()
   from /nix/store/arhy8i96l81wz3zrldiwcmiax2gc2w7s-libuv-1.48.0/lib/libuv.so.1
#3  0x0000000000d5dfdb in node::SpinEventLoopInternal(node::Environment*) ()
#4  0x0000000000ecf51b in node::NodeMainInstance::Run(node::ExitCode*, node::Environment*) ()
#5  0x0000000000ecf8fa in node::NodeMainInstance::Run() ()
#6  0x0000000000e22d7c in node::Start(int, char**) ()
#7  0x00007ffff511b10e in __libc_start_call_main ()
   from /nix/store/c10zhkbp6jmyh0xc5kd123ga8yy2p4hk-glibc-2.39-52/lib/libc.so.6
#8  0x00007ffff511b1c9 in __libc_start_main_impl ()
   from /nix/store/c10zhkbp6jmyh0xc5kd123ga8yy2p4hk-glibc-2.39-52/lib/libc.so.6
#9  0x0000000000d5bd95 in _start ()
`;
const FUNCTIONS = [
  'epoll_pwait',
  'uv.io_poll',
  'uv_run',
  'node::SpinEventLoopInternal(node::Environment*)',
  'node::NodeMainInstance::Run(node::ExitCode*, node::Environment*)',
  'node::NodeMainInstance::Run()',
  'node::Start(int, char**)',
  '__libc_start_call_main',
  '__libc_start_main_impl',
  '_start',
];

/** As a terminal of `columns` shows it: cut anywhere. */
const cut = (text: string, columns: number) =>
  text
    .split('\n')
    .flatMap((line) => line.match(new RegExp(`.{1,${columns}}`, 'g')) ?? [''])
    .join('\n');

describe('parseGdbBacktrace', () => {
  it("reads the bug report's stack", () => {
    const frames = parseGdbBacktrace(REPORT);
    expect(frames.map((frame) => frame.function)).toEqual(FUNCTIONS);
    expect(frames[1]).toEqual({
      level: 1,
      address: '0x00007ffff7f92140',
      function: 'uv.io_poll',
      args: '',
      library: '/nix/store/arhy8i96l81wz3zrldiwcmiax2gc2w7s-libuv-1.48.0/lib/libuv.so.1',
    });
  });

  it.each([73, 80, 85, 200])('reads it off a terminal of %i columns, with prompts, and the last of two', (columns) => {
    const shown = cut(
      `${REPORT.replace('uv_run', 'before')}(gdb) where\n${REPORT}(gdb) [  369.652117] INFO: task\n`,
      columns,
    );
    expect(parseGdbBacktrace(shown).map((frame) => frame.function)).toEqual(FUNCTIONS);
  });

  it('reads arguments, source lines, inlined frames and operators', () => {
    const frames = parseGdbBacktrace(
      '#0  __GI___poll (fds=0x7ffe, nfds=2, timeout=<optimized out>) at ../sysdeps/unix/poll.c:29\n' +
        '#1  0x0000000000401136 in main (argc=1, argv=0x7ffe) at t.c:7\n#2  std::function<void ()>::operator()(this=0x1) const (a=@0x7: {...})\n#3  0x00007f0000000000 in ?? () from /lib/x.so\n#4  <signal handler called>\n',
    );
    expect(frames).toMatchObject([
      {
        function: '__GI___poll',
        args: 'fds=0x7ffe, nfds=2, timeout=<optimized out>',
        file: '../sysdeps/unix/poll.c',
        line: 29,
      },
      { address: '0x0000000000401136', function: 'main', file: 't.c', line: 7 },
      { function: 'std::function<void ()>::operator()(this=0x1) const', args: 'a=@0x7: {...}' },
      { function: '??', library: '/lib/x.so' },
      { function: '<signal handler called>', args: '' },
    ]);
    expect(parseGdbBacktrace('(gdb) where\nNo stack.\n(gdb) ')).toEqual([]);
  });

  it('gives every thread with its number, thread id and name', () => {
    const threads = parseGdbThreads(
      '\nThread 2 (Thread 0x7ffff509e6c0 (LWP 1372) "libuv-worker"):\n#0  0x0000000000000001 in a ()\n#1  0x0000000000000002 in b ()\n\nThread 1 (Thread 0x7ffff7d8a7c0 (LWP 1365) "npm ci"):\n#0  0x0000000000000003 in c ()\n[Inferior 1 (process 1365) detached]\n',
    );
    expect(threads.map(({ tid, name, frames }) => [tid, name, frames.map((frame) => frame.function).join()])).toEqual([
      [1372, 'libuv-worker', 'a,b'],
      [1365, 'npm ci', 'c'],
    ]);
  });
});
