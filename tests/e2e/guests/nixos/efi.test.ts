import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, nixos, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeStartScript } from '../../../nix/start-script.js';

/** A variable of the guest's EFI, in the flash that its start script gives it: read, and written with the value 1 or 2. */
const VARIABLE = '/sys/firmware/efi/efivars/Qmpilot-12345678-1234-1234-1234-123456789abc';
const read = `od -An -tx1 -j4 ${VARIABLE} | tr -d ' \\n'`;
const write = (value: number) =>
  `chattr -i ${VARIABLE} 2>/dev/null; printf '\\007\\000\\000\\000\\00${value}' > ${VARIABLE}`;

/** TPM2_PCR_Extend of register 16 by 32 bytes of ones: TPM 2.0 Library, part 3, 22.2. */
const EXTEND = `exec 3<>/dev/tpm0; printf '${[
  '8002',
  '00000041',
  '00000182',
  '00000010',
  '00000009',
  '40000009',
  '0000',
  '00',
  '0000',
  '00000001',
  '000b',
  '01'.repeat(32),
]
  .join('')
  .replaceAll(/../g, String.raw`\x$&`)}' >&3; head -c 10 <&3 | od -An -tx1 | grep -q '00 00 00 00$'`;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-efi-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a NixOS VM with EFI (virtualisation.useEFIBoot)', () => {
  let vm: Vm;
  let variables: string;
  beforeAll(async () => {
    const script = await writeStartScript(join(dir, 'efi'), { efi: 'on' });
    variables = join(dir, 'mine.fd');
    copyFileSync(/efi='(.*)'/.exec(readFileSync(script, 'utf8'))?.[1] + '/OVMF_VARS_4M.fd', variables);
    vm = await boot(nixos({ script, env: { NIX_EFI_VARS: variables } }));
    await vm.expectOk(
      'mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars',
    );
  });
  afterAll(() => vm?.close());

  it('is saved, forked and restored with its variables, each VM with flash of its own', async () => {
    await vm.expectOk(write(1));
    expect(await vm.snapshotBlockers()).toEqual([]);
    await vm.snapshot('one');
    await vm.expectOk(write(2));
    const fork = await vm.fork('one');
    try {
      expect((await fork.exec(read)).stdout).toBe('01');
      await fork.expectOk(write(3));
    } finally {
      await fork.close();
    }
    expect((await vm.exec(read)).stdout).toBe('02');
    await vm.restore('one');
    expect((await vm.exec(read)).stdout).toBe('01');
  });

  it('writes nothing to the file of variables that it began with', () => {
    const mine = readFileSync(variables);
    expect(mine.includes(Buffer.from('Qmpilot', 'utf16le'))).toBe(false);
    expect(mine.length).toBe(540_672);
  });
});

describe('a NixOS VM with a TPM (virtualisation.tpm.enable)', () => {
  let vm: Vm;
  const pcr = async () => (await vm.expectOk('cat /sys/class/tpm/tpm0/pcr-sha256/16')).stdout.trim();
  beforeAll(async () => {
    vm = await boot(nixos({ script: await writeStartScript(join(dir, 'tpm'), { tpm: 'on', emptyDisk: 'on' }) }));
  });
  afterAll(() => vm?.close());

  it('makes no template and no fork, and says why', async () => {
    const reason = 'its TPM is an emulator (swtpm) outside of QEMU, which ends with this QEMU and cannot be forked';
    expect(await vm.snapshotBlockers({ strategy: 'file' })).toEqual([
      { reason, remedy: 'build the guest without it: virtualisation.tpm.enable = false' },
    ]);
    await expect(vm.snapshot('refused', { strategy: 'file' })).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: `this VM cannot be restored in another QEMU: ${reason}`,
      hint: expect.stringMatching(/tpm\.enable = false; or use the strategy 'internal'/),
    });
  });

  it('is saved inside its own QEMU, and restored with the state of the TPM', async () => {
    expect(await pcr()).toMatch(/^0{64}$/);
    expect(await vm.snapshotBlockers()).toEqual([]);
    expect(await vm.snapshot('empty')).toMatchObject({ strategy: 'internal', reason: expect.stringMatching(/TPM/) });
    await vm.expectOk(EXTEND);
    expect(await pcr()).not.toMatch(/^0{64}$/);
    await vm.restore('empty');
    await expect(vm.fork('empty')).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringMatching(/^the snapshot empty is internal to one QEMU and cannot be forked: .*TPM/),
      hint: expect.stringMatching(/^vm\.snapshotBlockers\(\{ strategy: 'file' \}\)/),
    });
    expect(await pcr()).toMatch(/^0{64}$/);
  });
});
