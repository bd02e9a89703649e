import { describe, expect, it } from 'vitest';
import { diagnoseLife, type LifeSigns } from './life-signs.js';

const running: LifeSigns = {
  runState: 'running',
  consoleQuietMs: 120_000,
  shellAnswers: false,
  cpus: [{ index: 0, busy: 0.4, halted: 0.5 }],
};
const judge = (signs: Partial<LifeSigns>) => diagnoseLife({ ...running, ...signs }, { quietMs: 10_000 });

describe('diagnoseLife', () => {
  it.each([
    ['qemu-gone', { qemuEnd: 'was killed by SIGKILL', panic: 'kernel panic: x' }, 'QEMU was killed by SIGKILL'],
    ['panicked', { pvpanic: true, runState: 'running' }, 'the guest told QEMU that its kernel panicked'],
    [
      'panicked',
      { runState: 'guest-panicked', panic: 'kernel panic: x' },
      'the guest told QEMU that its kernel panicked: kernel panic: x',
    ],
    ['panicked', { panic: 'kernel panic: x' }, 'the console shows a panic: kernel panic: x'],
    ['watchdog', { watchdog: 'reset' }, 'the watchdog expired (action reset)'],
    ['stopped', { runState: 'io-error' }, 'QEMU does not run the guest: its state is io-error'],
    ['alive', { shellAnswers: true }, 'the console shell answers; nothing on the console for 2min'],
    [
      'alive',
      { consoleQuietMs: 3000 },
      'the console continues (nothing on the console for 3s), but the console shell does not answer',
    ],
    [
      'spinning',
      {
        cpus: [
          { index: 0, busy: 0, halted: 1 },
          { index: 1, busy: 0.5, halted: 0 },
        ],
      },
      'nothing on the console for 2min, the console shell does not answer; 1 of 2 virtual CPUs are always busy (CPU 1)',
    ],
    [
      'spinning',
      { cpus: [{ index: 0, busy: 0.99 }] },
      'nothing on the console for 2min, the console shell does not answer; 1 of 1 virtual CPUs are always busy (CPU 0)',
    ],
    [
      'idle',
      {
        cpus: [
          { index: 0, busy: 0.01 },
          { index: 1, busy: 0.02, halted: 0.8 },
        ],
      },
      'nothing on the console for 2min, the console shell does not answer; all 2 virtual CPUs are idle: the guest waits for something',
    ],
    [
      'working',
      {},
      'nothing on the console for 2min, the console shell does not answer; the virtual CPUs are busy, with idle phases',
    ],
    ['silent', { cpus: [] }, 'nothing on the console for 2min, the console shell does not answer'],
  ] as const)('%s for %o', (state, signs, reason) => {
    expect(judge(signs)).toEqual({ state, reason });
  });

  it('knows a monitor that does not answer, and a console that never said anything', () => {
    expect(diagnoseLife({ cpus: [] }, { quietMs: 1 })).toMatchObject({ state: 'qemu-stuck' });
    expect(diagnoseLife({ runState: 'running', cpus: [] }, { quietMs: 1 })).toEqual({
      state: 'silent',
      reason: 'nothing ever came on the console',
    });
  });
});
