/** Stands for what a usage line leaves open: `--attempts N`. */
const SAMPLES: Readonly<Record<string, string>> = { N: '3', K: '3', T: '2m' };

export interface CommandLine {
  readonly words: readonly string[];
  /** One of `a|b`: arguments that only one of them needs are left out. */
  readonly terse: boolean;
}

/** The commands of a shell block: comments, pipes and continued lines taken apart; of `a|b` each, and brackets as if they were given. */
export function commandLines(text: string): readonly CommandLine[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap((line) => {
      const lines = variants(line);
      return lines.flatMap((one) => split(one)).map((words) => ({ words, terse: lines.length > 1 }));
    });
}

function variants(line: string): readonly string[] {
  const choice = /(?<=^|[\s])[\w-]+(?:\|[\w-]+)+(?=$|[\s])/.exec(line);
  if (!choice) return [line];
  return choice[0]
    .split('|')
    .flatMap((word) => variants(line.slice(0, choice.index) + word + line.slice(choice.index + choice[0].length)));
}

function split(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [];
  let words: string[] = [];
  for (const [token] of line.matchAll(/(?<=^|\s)#.*$|&&|\|\||[|;>&]|(?:[^\s'"|;>&]|'[^']*'|"[^"]*")+/g)) {
    if (token.startsWith('#')) break;
    if (/^(?:&&|\|\||[|;&>])$/.test(token)) {
      commands.push(words);
      // What follows a redirection is a file's name.
      words = token === '>' ? ['>'] : [];
    } else words.push(plain(token));
  }
  commands.push(words);
  return commands
    .map((command) => (/^(?:npx|\$)$/.test(command[0] ?? '') ? command.slice(1) : command))
    .filter((command) => command.length > 0 && command[0] !== '>');
}

function plain(token: string): string {
  const bare = token
    .replace(/^\[+/, '')
    .replace(/(?:\.\.\.)?\]*$/, '')
    .replace(/^(['"])(.*)\1$/, '$2');
  return SAMPLES[bare] ?? bare;
}
