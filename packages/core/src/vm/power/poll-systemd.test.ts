import { expect, it } from 'vitest';
import { createShutdownDetector } from '../../detect/index.js';
import type { ExecOptions } from '../../shell/exec-options.js';
import type { Shell } from '../../shell/shell.js';
import { pollSystemd } from './poll-systemd.js';

it('each query to systemd is short and names at most 32 units, whatever the guest answers', async () => {
  const end = new AbortController();
  const asked: { readonly command: string; readonly maxOutput: number }[] = [];
  const jobs = Array.from({ length: 1000 }, (_, index) => `${index} unit-${index}.service stop running`).join('\n');
  const shell = {
    exec: (command: string, options: ExecOptions = {}) => {
      asked.push({ command, maxOutput: options.maxOutput ?? Infinity });
      return Promise.resolve({
        stdout: command.startsWith('systemctl list-jobs')
          ? jobs
          : command.startsWith('systemctl show')
            ? 'Id=unit-1.service\nControlGroup=/a b;reboot'
            : '1\tx',
      });
    },
  };
  const polling = pollSystemd(shell as unknown as Shell, createShutdownDetector(), () => 0, end.signal);
  await expect.poll(() => asked.length).toBeGreaterThan(2);
  end.abort();
  await polling;
  expect(Math.max(...asked.map(({ maxOutput }) => maxOutput))).toBeLessThanOrEqual(1 << 20);
  expect(asked[1]?.command.match(/unit-\d+/g)?.length).toBe(32);
  expect(asked[2]?.command).toContain("'/a b;reboot'");
});
