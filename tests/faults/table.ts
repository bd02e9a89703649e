import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { FaultResult } from './one-fault.js';

const PAGE = fileURLToPath(new URL('../../docs/faults.md', import.meta.url));
const MARKS = /<!-- table -->[\s\S]*<!-- end of table -->/;

/** For each kind: how often it was made, what was lost and left, and how the runs ended. */
export function formatTable(results: ReadonlyMap<string, readonly FaultResult[]>, seed: number): string {
  const rows = [...results].map(([kind, all]) => {
    const made = all.filter(({ skipped }) => skipped === undefined);
    const sum = (of: (result: FaultResult) => number) => made.reduce((total, result) => total + of(result), 0);
    const exits = [...new Set(made.map(({ exit }) => exit))]
      .toSorted()
      .map((exit) => `${exit} (${made.filter((one) => one.exit === exit).length})`)
      .join(', ');
    const skipped = all.find((result) => result.skipped !== undefined)?.skipped?.trim();
    return {
      made: made.length,
      row: `| ${kind} | ${made.length} | ${sum(({ finished }) => finished)} | ${sum(({ inconclusive }) => inconclusive)} | ${sum(({ lost }) => lost.length)} | ${sum(({ left }) => left.length)} | ${sum(({ wrong }) => wrong.length)} | ${exits || `not made: ${skipped ?? ''}`} |`,
    };
  });
  return [
    `${rows.reduce((total, { made }) => total + made, 0)} faults, seed ${seed}, Linux ${release()}, ${cpus().length} cores.`,
    '',
    '| fault | made | attempts finished by then | inconclusive of them | lost | left | wrong | exit status |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(({ row }) => row),
  ].join('\n');
}

export function writeTable(table: string): void {
  const page = readFileSync(PAGE, 'utf8');
  writeFileSync(
    PAGE,
    page.replace(MARKS, () => `<!-- table -->\n${table}\n<!-- end of table -->`),
  );
}
