import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageFolder } from '../../../util/files/package-folder.js';
import { missingOptions, parseKernelConfig } from '../kernel-config.js';
import { configOptions, configText, ignoredOptions } from './guest-config.js';

it('takes the last of what fragments say of an option', () => {
  const options = configOptions('CONFIG_A=y\nCONFIG_B=m\n', '# CONFIG_A is not set\nCONFIG_C="text=1"\n# a comment\n');
  expect(configText(options)).toBe('# CONFIG_A is not set\nCONFIG_B=m\nCONFIG_C="text=1"\n');
});

it('names the wanted options that a configuration does not have', () => {
  const result = configOptions('CONFIG_A=y\nCONFIG_B=m\n');
  expect(ignoredOptions(configOptions('CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n# CONFIG_D is not set\n'), result)).toEqual([
    'CONFIG_B=y',
    'CONFIG_C=y',
  ]);
});

it('the configuration of a guest has what a guest needs, network and shared folders included', () => {
  const config = readFileSync(join(packageFolder(), 'guest', 'kernel', 'guest.config'), 'utf8');
  expect(missingOptions(parseKernelConfig(config), { hasModules: false, network: true, shares: true })).toEqual([]);
});
