import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { registerScan } from './scan.js';

const HAS_COMPILER = ['gcc', 'nm', 'objdump', 'addr2line'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
);

const SOURCE = `
int *volatile wanted;
static inline __attribute__((always_inline)) int read_it(int *from) {
  int sum = 0;
  for (int i = 0; i < 9; i++) {
    sum ^= from[i] + (sum << 3);
  }
  return sum;
}
__attribute__((noinline)) int crash(int *from) {
  wanted = 0;
  return read_it(from) + 1;
}
__attribute__((noinline)) int caller(int count) {
  int sum = count;
  sum += crash(wanted);
  return sum * 3;
}
int start_kernel(void) { return caller(1) + 1; }
`;

/** Its two functions have the same address in their sections. */
const MODULE = `
__attribute__((section(".init.text"), noinline)) int set_up(int count) {
  return count * 3;
}
__attribute__((noinline)) int work(int *from) {
  *from += 1;
  return *from * 3;
}
`;

describe.runIf(HAS_COMPILER)('qmpilot scan --vmlinux', () => {
  let dir: string;
  let vmlinux: string;
  /** `func+0x1/0x2` of the place behind a function's first instruction that matches. */
  let place: (name: string, instruction: RegExp, behind?: boolean) => string;
  let out = '';
  let err = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-source-lines-'));
    vmlinux = join(dir, 'vmlinux');
    writeFileSync(join(dir, 'main.c'), SOURCE);
    const build = [
      '-O1',
      '-fno-pic',
      '-fcf-protection=none',
      '-nostdlib',
      '-static',
      '-Wl,-e,start_kernel',
      '-o',
      vmlinux,
      'main.c',
    ];
    execFileSync('gcc', ['-g', ...build], { cwd: dir });
    execFileSync('gcc', ['-g0', ...build.map((one) => (one === vmlinux ? join(dir, 'stripped') : one))], { cwd: dir });
    writeFileSync(join(dir, 'a-module.c'), MODULE);
    execFileSync('gcc', ['-g', '-O1', '-fno-pic', '-fcf-protection=none', '-c', '-o', 'a-module.ko', 'a-module.c'], {
      cwd: dir,
    });
    writeFileSync(join(dir, 'modules.order'), 'kernel/other.ko\nkernel/a-module.ko\n');
    const code = execFileSync('objdump', ['-d', '--no-show-raw-insn', vmlinux], { encoding: 'utf8' });
    const symbols = execFileSync('nm', ['-n', vmlinux], { encoding: 'utf8' }).split('\n');
    place = (name, instruction, behind = false) => {
      const at = symbols.findIndex((line) => line.endsWith(` ${name}`));
      const [start, end] = [at, at + 1].map((index) => Number.parseInt(symbols[index] ?? '', 16));
      const lines = code
        .slice(code.indexOf(`<${name}>:`))
        .split('\n')
        .slice(1);
      const index = lines.findIndex((line) => instruction.test(line));
      const offset = Number.parseInt(lines[index + (behind ? 1 : 0)] ?? '', 16) - (start ?? 0);
      return `${name}+0x${offset.toString(16)}/0x${((end ?? 0) - (start ?? 0)).toString(16)}`;
    };
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(() => {
    [out, err] = ['', ''];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });

  const oops = (size?: string) => {
    const resize = (frame: string) => (size === undefined ? frame : frame.replace(/[^/]+$/, size));
    const path = join(dir, 'log');
    const lines = [
      'BUG: kernel NULL pointer dereference, address: 0000000000000000',
      'Oops: 0000 [#1] PREEMPT SMP NOPTI',
      'CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1',
      `RIP: 0010:${resize(place('crash', /\b(?:mov|add) +\(%|\bldr\b.*\[x/))}`,
      'Call Trace:',
      ' <TASK>',
      ` ${resize(place('caller', /\bcall|\bbl\b/, true))}`,
      ' unknown_function+0x10/0x20',
      ' </TASK>',
      '---[ end trace 0000000000000000 ]---',
    ];
    writeFileSync(path, lines.map((line, index) => `[    1.00000${index}] ${line}\n`).join(''));
    return path;
  };
  const scan = async (...args: string[]) => {
    const program = new Command().exitOverride();
    registerScan(program);
    await program.parseAsync(['scan', ...args], { from: 'user' });
    return process.exitCode;
  };

  it('prints the line of each frame, that of a call for a return address, and inlined functions', async () => {
    expect(await scan(oops(), '--vmlinux', dir)).toBe(1);
    expect(out).toMatch(
      /^ +read_it \(inlined\) {2}\S*main\.c:6\n +crash\+\S+ {2}\S*main\.c:12\n +caller\+\S+ {2}\S*main\.c:16\n +unknown_function\+0x10\/0x20$/m,
    );
    expect(err).toBe('');
  });

  it('gives them in JSON', async () => {
    await scan(oops(), '--json', '--vmlinux', vmlinux);
    expect(JSON.parse(out).frames).toMatchObject([
      {
        raw: expect.stringMatching(/^crash\+/),
        source: [
          { function: 'read_it', line: 6 },
          { function: 'crash', line: 12 },
        ],
      },
      {
        raw: expect.stringMatching(/^caller\+/),
        source: [{ function: 'caller', file: expect.stringMatching(/main\.c$/), line: 16 }],
      },
      { raw: 'unknown_function+0x10/0x20', source: [] },
    ]);
  });

  it('finds modules in the tree, by what is in memory while they run, and no place beyond a function', async () => {
    const size = execFileSync('objdump', ['-d', '--no-show-raw-insn', '-j', '.text', join(dir, 'a-module.ko')], {
      encoding: 'utf8',
    }).match(/^ +([0-9a-f]+):\t.*ret/m)?.[1];
    const end = (Number.parseInt(size ?? '', 16) + 1).toString(16);
    const path = join(dir, 'module.log');
    const stack = [
      `work+0x1/0x${end} [a_module]`,
      `work+0x7f0/0x${end} [a_module]`,
      `set_up+0x1/0x${end} [a_module]`,
      'work+0x1/0x9 [absent]',
    ];
    const lines = [
      'INFO: task sleeper:77 blocked for more than 120 seconds.',
      'task:sleeper         state:D stack:0     pid:77    ppid:1      flags:0x00004002',
      'Call Trace:',
      ' <TASK>',
      ...stack.map((frame) => ` ${frame}`),
      ' </TASK>',
    ];
    writeFileSync(path, lines.map((line, index) => `[    1.${100_000 + index}] ${line}\n`).join(''));
    await scan(path, '--json', '--vmlinux', dir);
    expect(JSON.parse(out).frames).toMatchObject([
      { raw: stack[0], source: [{ function: 'work', file: expect.stringMatching(/a-module\.c$/) }] },
      ...stack.slice(1).map((raw) => ({ raw, source: [] })),
    ]);
  });

  it('gives no lines, and says so, when functions have another size there than in the log', async () => {
    expect(await scan(oops('0x1000'), '--vmlinux', vmlinux)).toBe(1);
    expect(out).toContain('stack: caller < unknown_function');
    expect(out).not.toContain('main.c');
    expect(err).toMatch(/is not of the kernel of the log: crash has 0x1000 bytes in the log, and 0x\w+ there/);
  });

  it('refuses a file without debug information, and one that is no vmlinux', async () => {
    await expect(scan(oops(), '--vmlinux', join(dir, 'stripped'))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('has no debug information'),
    });
    await expect(scan(oops(), '--vmlinux', join(dir, 'main.c'))).rejects.toMatchObject({ code: 'USAGE' });
    await expect(scan(oops(), '--vmlinux', join(dir, 'missing'))).rejects.toMatchObject({ code: 'IO' });
  });
});
