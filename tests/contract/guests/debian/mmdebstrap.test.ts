import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runMmdebstrap } from '../../../../packages/core/src/guests/build/mmdebstrap.js';
import { DEFAULT_SUITE as SUITE } from '../../../../packages/core/src/guests/debian/image-options.js';

// What a mirror that lies would be: an archive of no packages in a folder.
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-archive-'));
  const packages = join(dir, 'dists', SUITE, 'main/binary-amd64');
  mkdirSync(packages, { recursive: true });
  writeFileSync(join(packages, 'Packages'), '');
  const empty = createHash('sha256').update('').digest('hex');
  writeFileSync(
    join(dir, 'dists', SUITE, 'Release'),
    [
      'Origin: Debian',
      `Codename: ${SUITE}`,
      `Date: ${new Date().toUTCString().replace('GMT', 'UTC')}`,
      'Architectures: amd64',
      'Components: main',
      'SHA256:',
      ` ${empty} 0 main/binary-amd64/Packages`,
      '',
    ].join('\n'),
  );
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const build = () =>
  runMmdebstrap({
    args: ['--variant=minbase', SUITE, '/dev/null', `deb copy://${dir} ${SUITE} main`],
    env: {},
    cwd: dir,
    suite: SUITE,
    onLine: () => {},
  });

describe('packages of the guest image', () => {
  it('are refused from an unsigned archive', async () => {
    await expect(build()).rejects.toMatchObject({
      code: 'GUEST_BUILD',
      message: expect.stringContaining('is not signed'),
    });
  });

  it('are refused from an archive that another key signed', async ({ skip }) => {
    const home = join(dir, 'gnupg');
    mkdirSync(home, { mode: 0o700 });
    const gpg = (...args: string[]) =>
      execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--passphrase', '', ...args], { stdio: 'pipe' });
    try {
      gpg('--version');
    } catch {
      skip('gpg is not here');
    }
    gpg('--quick-generate-key', 'Debian Archive <nobody@example.org>', 'ed25519', 'sign', 'never');
    const release = join(dir, 'dists', SUITE, 'Release');
    gpg('--armor', '--detach-sign', '--output', `${release}.gpg`, release);
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']);
    await expect(build()).rejects.toMatchObject({
      code: 'GUEST_BUILD',
      message: expect.stringMatching(/is not signed|NO_PUBKEY|signatures couldn't be verified/),
    });
  });
});
