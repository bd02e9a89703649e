import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWithClient } from '../../support/qmp-harness.js';

let dir: string;
let disk: readonly string[];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmp-jobs-'));
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(dir, 'a.qcow2'), '64M']);
  disk = [
    '-machine',
    'q35,accel=tcg',
    '-m',
    '32',
    '-blockdev',
    `qcow2,node-name=a,file.driver=file,file.filename=${join(dir, 'a.qcow2')}`,
  ];
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const snapshot = (tag: string, id = 'snap') => ({ 'job-id': id, tag, 'vmstate': 'a', 'devices': ['a'] });

describe('jobs of a real QEMU', () => {
  it('saves and loads a snapshot, one job id for both, and leaves no job behind', async () => {
    await using vm = await startWithClient(disk);
    const seen: string[] = [];
    await vm.client.runJob('snapshot-save', snapshot('one'), { onProgress: ({ status }) => seen.push(status) });
    await vm.client.runJob('snapshot-load', snapshot('one'));
    expect(await vm.client.execute('query-jobs')).toEqual([]);
    expect(seen.at(-1)).toBe('concluded');
  });

  it("rejects snapshot-load of a wrong tag with QEMU's text, and the id works again", async () => {
    await using vm = await startWithClient(disk);
    const failed = vm.client.runJob('snapshot-load', snapshot('no-such-tag'));
    await expect(failed).rejects.toThrow(/no-such-tag/);
    await expect(failed).rejects.toMatchObject({ code: 'QMP_JOB' });
    await vm.client.runJob('snapshot-save', snapshot('two'));
  });
});
