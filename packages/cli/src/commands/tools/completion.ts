import { Argument, type Command } from 'commander';
import { call } from '../../daemon/client.js';
import { list } from '../../daemon/state.js';
import { helpText } from '../../help.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** The script of each shell: at Tab it asks `qmpilot complete` for the words that fit. */
const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `_qmpilot() {
  local IFS=$'\\n'
  COMPREPLY=($(qmpilot complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [ \${#COMPREPLY[@]} -gt 0 ] || compopt -o default
}
complete -F _qmpilot qmpilot
`,
  zsh: `#compdef qmpilot
_qmpilot() {
  local -a words_that_fit
  words_that_fit=(\${(f)"$(qmpilot complete -- "\${words[@]:1:$((CURRENT - 1))}" 2>/dev/null)"})
  if (( \${#words_that_fit} )); then compadd -- "\${words_that_fit[@]}"; else _files; fi
}
compdef _qmpilot qmpilot
`,
  fish: `function __qmpilot_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l fitting (qmpilot complete -- $words[2..-1] 2>/dev/null)
  if set -q fitting[1]
    printf '%s\\n' $fitting
  else
    __fish_complete_path $words[-1]
  end
end
complete -c qmpilot -f -a '(__qmpilot_complete)'
`,
};

export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      helpText(
        'Put this into the file that your shell reads at its start:\n\n  bash: eval "$(qmpilot completion bash)"\n  zsh:  eval "$(qmpilot completion zsh)"\n  fish: qmpilot completion fish | source',
      ),
    )
    .action((shell: (typeof SHELLS)[number]) => void process.stdout.write(SCRIPTS[shell]));

  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .passThroughOptions()
    .action(async (given: string[]) => {
      const words = given[0] === '--' ? given.slice(1) : given;
      for (const word of await complete(program, words)) process.stdout.write(`${word}\n`);
    });
}

/** Returns what the last of `words` can be completed to. */
export async function complete(program: Command, words: readonly string[]): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  let command = program;
  const operands: string[] = [];
  for (const word of words.slice(0, -1)) {
    const child = operands.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    if (child) command = child;
    else if (!word.startsWith('-')) operands.push(word);
  }
  const visible = command
    .createHelp()
    .visibleCommands(command)
    .map((one) => (one.parent === command || one.parent === null ? one : one.parent).name());
  const options = command
    .createHelp()
    .visibleOptions(command)
    .map(({ long }) => long ?? '');
  const candidates = typed.startsWith('-')
    ? options
    : visible.length > 0 && operands.length === 0
      ? visible
      : await operandsOf(command, operands);
  return [...new Set(candidates)].filter((candidate) => candidate !== '' && candidate.startsWith(typed)).sort();
}

/** Commands that take VMs that have ended. */
const OF_ENDED: ReadonlySet<string> = new Set(['rm', 'logs']);

async function operandsOf(command: Command, operands: readonly string[]): Promise<string[]> {
  const argument = command.registeredArguments[Math.min(operands.length, command.registeredArguments.length - 1)];
  if (argument === undefined || (operands.length >= command.registeredArguments.length && !argument.variadic))
    return [];
  if (argument.argChoices) return [...argument.argChoices];
  switch (argument.name()) {
    case 'vm':
      return (await list())
        .filter(({ life }) => (life === 'running' ? command.name() !== 'rm' : OF_ENDED.has(command.name())))
        .map(({ record }) => record.name);
    case 'snapshot': {
      const vm = operands[0];
      // The name of a snapshot that is made is new.
      if (vm === undefined || command.name() === 'save') return [];
      return (await call(vm, 'status', {}).catch(() => undefined))?.snapshots.map(({ name }) => name) ?? [];
    }
    case 'guest':
      return ['debian'];
    case 'key': {
      const { listImages } = await import('@qmpilot/core/guests');
      return (await listImages()).map(({ key }) => key);
    }
    default:
      return [];
  }
}
