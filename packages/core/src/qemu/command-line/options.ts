/** One option of QEMU's command line, without its dash; a bare word is a disk image, named ``. */
export interface Argument {
  readonly name: string;
  readonly value?: string | undefined;
}

/** QEMU reads a comma as the end of a value; twice it is a comma. */
function escapeValue(value: string | number): string {
  return String(value).replaceAll(',', ',,');
}

/** `socket,id=qmp,fd=3`: the form of most of QEMU's options. Undefined values are left out. */
export function option(head: string, values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const parts = Object.entries(values).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const text = typeof value === 'boolean' ? (value ? 'on' : 'off') : escapeValue(value);
    return [`${key}=${text}`];
  });
  return [head, ...parts].filter(Boolean).join(',');
}

/** Options without a value: qemu-options.def, of QEMU 7.2 to 10. */
const FLAGS = new Set(
  (
    'S s nographic snapshot usb daemonize nodefaults no-user-config enable-kvm full-screen fullscreen no-reboot no-shutdown no-acpi no-hpet no-fd-bootchk ' +
    'only-migratable mem-prealloc singlestep win2k-hack alt-grab ctrl-grab no-quit curses preconfig async-teardown portrait old-param semihosting'
  ).split(' '),
);

export function parseArguments(words: readonly string[]): Argument[] {
  const parsed: Argument[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const name = word.replace(/^--?/, '');
    if (!word.startsWith('-')) parsed.push({ name: '', value: word });
    else if (FLAGS.has(name)) parsed.push({ name });
    else parsed.push({ name, value: words[(at += 1)] });
  }
  return parsed;
}

export function formatArguments(parsed: readonly Argument[]): string[] {
  return parsed.flatMap(({ name, value }) => [
    ...(name === '' ? [] : [`-${name}`]),
    ...(value === undefined ? [] : [value]),
  ]);
}

/** `file=a,,b,if=none` as [key, value] pairs; a part without `=` has its text as key. A doubled comma is a comma. */
export function parseOption(value: string): [string, string | undefined][] {
  const parts = value
    .replaceAll(',,', '\0')
    .split(',')
    .map((part) => part.replaceAll('\0', ','));
  return parts
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals === -1 ? [part, undefined] : [part.slice(0, equals), part.slice(equals + 1)];
    });
}

export function optionValue(value: string | undefined, key: string): string | undefined {
  return parseOption(value ?? '').findLast(([name]) => name === key)?.[1];
}

function formatOption(pairs: readonly (readonly [string, string | undefined])[]): string {
  return pairs
    .map(([key, value]) => (value === undefined ? escapeValue(key) : `${key}=${escapeValue(value)}`))
    .join(',');
}

export function withValues(value: string, changes: Readonly<Record<string, string>>): string {
  const kept = parseOption(value).filter(([key]) => !(key in changes));
  return formatOption([...kept, ...Object.entries(changes)]);
}
