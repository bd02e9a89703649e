/** Hints of the library name its functions and options; on the command line they name commands. */
const REPLACEMENTS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [/boot it with display: 'std'/, 'boot it with --display std'],
  [/vm\.console\.screen shows/, 'qmpilot screen shows'],
  [/type\(\) (?:sends|types) text/, 'qmpilot type sends text'],
  [/vm\.pause\(\)/, 'a snapshot or restore'],
  [/network: 'user' in its description/, 'boot it with --network user'],
  [/name (\S+) as `shell` in its description/, 'boot it with --hvc $1 --shell $1'],
  [/vm\.console works without/, 'qmpilot console and type work without'],
  [/openShell\(.*$/, 'wait for one of these commands, or end it'],
  [/create one with snapshot\.save\(path\)/, 'create one with qmpilot snapshot save VM NAME DIRECTORY'],
  [/use via: 'acpi'/, 'use qmpilot stop'],
  [/say accelerator: '(\w+)'/, 'use --accelerator $1'],
];

/** Rewrites a message that begins with a function of the library to begin with the command. */
export function cliMessage(message: string): string {
  return message.replace(/^copy(?:In|Out): /, 'cp: ');
}

/** Rewrites a hint in terms of the command line. */
export function cliHint(hint: string): string {
  return REPLACEMENTS.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), hint);
}
