/**
 * Prints the bounds of a benchmark as a table; one that is missed is in bold, and on standard error as well. With --check on the command
 * line, the exit status is 1 then. A bound is [what, measured, '<=' or '>=', wanted].
 */
export function reportBounds(bounds) {
  const isMissed = ([, measured, sense, wanted]) => !(sense === '<=' ? measured <= wanted : measured >= wanted);
  const number = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(2));
  console.log('\n| bound | measured | wanted |\n|---|---:|---:|');
  for (const bound of bounds) {
    const [what, measured, sense, wanted] = bound;
    const shown = isMissed(bound) ? `**${number(measured)}**` : number(measured);
    console.log(`| ${what} | ${shown} | ${sense} ${number(wanted)} |`);
  }
  for (const [what, measured, sense, wanted] of bounds.filter(isMissed))
    console.error(`missed: ${what}: ${number(measured)}, wanted ${sense} ${number(wanted)}`);
  if (process.argv.includes('--check') && bounds.some(isMissed)) process.exitCode = 1;
}
