import { afterEach, describe, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

async function logWith(value: string) {
  vi.resetModules();
  vi.stubEnv('QMPILOT_DEBUG', value);
  const lines: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  const { debugLog } = await import('./debug-log.js');
  return { debugLog, lines };
}

describe('QMPILOT_DEBUG', () => {
  it.each([
    ['', false],
    ['process,snapshot', false],
    ['qmp', true],
    ['process, qmp', true],
    ['*', true],
  ])('%j logs QMP: %j', async (value, logged) => {
    const { debugLog } = await logWith(value);
    expect(debugLog('qmp') !== undefined).toBe(logged);
  });

  it('writes a line with time and channel, the bytes of a guest escaped, and secrets left out', async () => {
    const { debugLog, lines } = await logWith('qmp');
    debugLog('qmp')?.(() => 'to QEMU: {"password": "a\\"b", "x": "\u001b[2J\n"}\n');
    expect(lines).toEqual([
      expect.stringMatching(
        /^\d{4}-\d\d-\d\dT\S+Z qmpilot:qmp to QEMU: \{"password": "\*\*\*", "x": "\\x1b\[2J\\x0a"\}\n$/,
      ),
    ]);
  });

  it('cuts long lines', async () => {
    const { debugLog, lines } = await logWith('qmp');
    debugLog('qmp')?.(() => 'x'.repeat(5000));
    expect(lines[0]).toMatch(/x{4000}\.\.\. \(5000 characters\)\n$/);
  });
});
