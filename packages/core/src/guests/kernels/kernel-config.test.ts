import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { embeddedConfig, missingOptions, parseKernelConfig } from './kernel-config.js';

const needs = { hasModules: false, network: false };

/** A configuration with all that a guest needs. */
function fullConfig(): string {
  const names = missingOptions(new Map(), { hasModules: false, network: true });
  return `# Linux/x86 6.1.0 Kernel Configuration\n${names.join('\n')}\n`;
}

describe('the options that a guest needs of its kernel', () => {
  it('finds nothing missing in a configuration with all of them', () => {
    expect(missingOptions(parseKernelConfig(fullConfig()), { hasModules: false, network: true })).toEqual([]);
  });

  it('names each that is not set', () => {
    const text = fullConfig().replace('CONFIG_UNIX=y', '# CONFIG_UNIX is not set').replace('CONFIG_EXT4_FS=y\n', '');
    expect(missingOptions(parseKernelConfig(text), needs)).toEqual(['CONFIG_UNIX=y', 'CONFIG_EXT4_FS=y']);
  });

  it('takes drivers that are modules only with the modules, and other options never', () => {
    const text = fullConfig()
      .replace('CONFIG_VIRTIO_BLK=y', 'CONFIG_VIRTIO_BLK=m')
      .replace('CONFIG_UNIX=y', 'CONFIG_UNIX=m');
    const config = parseKernelConfig(text);
    expect(missingOptions(config, { hasModules: true, network: false })).toEqual(['CONFIG_UNIX=y']);
    expect(missingOptions(config, needs)).toEqual(['CONFIG_UNIX=y', 'CONFIG_VIRTIO_BLK=y']);
  });

  it('asks for a network driver only for a guest with a network', () => {
    const config = parseKernelConfig(fullConfig().replace('CONFIG_VIRTIO_NET=y\n', ''));
    expect(missingOptions(config, needs)).toEqual([]);
    expect(missingOptions(config, { ...needs, network: true })).toEqual(['CONFIG_VIRTIO_NET=y']);
  });
});

describe('embeddedConfig', () => {
  const config = gzipSync('CONFIG_SMP=y\n');

  it('reads the configuration out of a kernel', () => {
    const kernel = Buffer.concat([Buffer.from('codeIKCFG_ST'), config, Buffer.from('IKCFG_EDcode')]);
    expect(embeddedConfig(kernel)).toBe('CONFIG_SMP=y\n');
  });

  it('gives nothing for a kernel without one, or with a broken one', () => {
    expect(embeddedConfig(Buffer.from('code'))).toBeUndefined();
    const broken = Buffer.concat([Buffer.from('IKCFG_ST'), config.subarray(0, 12), Buffer.from('IKCFG_ED')]);
    expect(embeddedConfig(broken)).toBeUndefined();
  });
});
