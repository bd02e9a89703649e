/** Returns the options of a configuration in their order, the last of each name: `CONFIG_X=y`, `# CONFIG_X is not set`. */
export function configOptions(...fragments: readonly string[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (const text of fragments)
    for (const [, name, value, unset] of text.matchAll(/^(?:(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set)$/gm)) {
      if (unset !== undefined) options.set(unset, 'n');
      else if (name !== undefined) options.set(name, value ?? '');
    }
  return options;
}

/** Writes options as a fragment of a configuration. */
export function configText(options: ReadonlyMap<string, string>): string {
  return [...options]
    .map(([name, value]) => (value === 'n' ? `# ${name} is not set\n` : `${name}=${value}\n`))
    .join('');
}

/** The kernel's type information, which `vm.explain()` reads. Older kernels have DEBUG_INFO as an option of its own. */
export const TYPE_INFORMATION = `CONFIG_DEBUG_INFO=y
CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y
CONFIG_DEBUG_INFO_BTF=y
`;

/** Requested options that the result lacks or has with another value: their dependencies are missing, or the kernel has no such option. */
export function ignoredOptions(wanted: ReadonlyMap<string, string>, result: ReadonlyMap<string, string>): string[] {
  return [...wanted]
    .filter(([name, value]) => (result.get(name) ?? 'n') !== value)
    .map(([name, value]) => `${name}=${value}`);
}
