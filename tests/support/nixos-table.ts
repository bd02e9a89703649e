import { readFileSync } from 'node:fs';

/** The calls in the second column of the table of docs/nixos-driver.md, such as `vm.expectOk`, each once. */
export function nixosTableCalls(): readonly string[] {
  const page = readFileSync(new URL('../../docs/nixos-driver.md', import.meta.url), 'utf8');
  const calls = page
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| NixOS'))
    .flatMap((line) => [...(line.split('|')[2] ?? '').matchAll(/`([\w.]+)\([^`]*\)`/g)].map(([, call = '']) => call));
  return [...new Set(calls)];
}
