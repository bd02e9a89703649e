import { describe, expect, it } from 'vitest';
import { chooseForks } from './fork-count.js';

describe('the number of forks', () => {
  it.each([
    [undefined, { cpus: 2, memoryMiB: 1024 }, 100, { cpus: 8, memoryMiB: 100_000 }, 4, '8 cores, 2 for each guest'],
    [undefined, { cpus: 2, memoryMiB: 1024 }, 100, { cpus: 8, memoryMiB: 2600 }, 2, '2600 MiB are free'],
    [undefined, { cpus: 4, memoryMiB: 1024 }, 100, { cpus: 2, memoryMiB: 100 }, 1, '2 cores'],
    [undefined, { cpus: 1, memoryMiB: 64 }, 3, { cpus: 8, memoryMiB: 100_000 }, 3, 'no more attempts'],
    [6, { cpus: 2, memoryMiB: 1024 }, 100, { cpus: 2, memoryMiB: 100 }, 6, 'as requested'],
    [6, { cpus: 2, memoryMiB: 1024 }, 2, { cpus: 2, memoryMiB: 100 }, 2, '6 requested'],
  ])('asked %s, guest %j, %i attempts, host %j: %i, because %s', (asked, guest, todo, host, forks, reason) => {
    const chosen = chooseForks(asked, guest, todo, host);
    expect(chosen.forks).toBe(forks);
    expect(chosen.reason).toContain(reason);
  });
});
