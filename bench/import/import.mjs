// How long the library and the command take to load: pnpm bench:import [--rounds N] [--check]   (build first).
// Each round starts every program once, in turns; the table compares the medians with Node.js that runs nothing.
import { spawnSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { reportBounds } from '../bounds.mjs';

const ROUNDS = Number(process.argv[process.argv.indexOf('--rounds') + 1]) || 30;
const path = (name) => fileURLToPath(new URL(`../../packages/${name}`, import.meta.url));
const load = (entry) => ['--input-type=module', '-e', `import ${JSON.stringify(path(`core/dist/${entry}.js`))}`];

/** `most`: bound of `--check`, as a multiple of the first row. */
const PROGRAMS = [
  { what: '`node -e 0`', args: ['-e', '0'] },
  { what: '`import "@qmpilot/core"`', args: load('index'), most: 1.5 },
  { what: '`import "@qmpilot/core/detect"`', args: load('detect/index') },
  { what: '`qmpilot --help`', args: [path('cli/dist/bin.js'), '--help'], most: 1.7 },
  { what: '`qmpilot --version`', args: [path('cli/dist/bin.js'), '--version'] },
].map((program) => ({ ...program, ms: [] }));

for (let round = 0; round < ROUNDS; round += 1) {
  for (const program of PROGRAMS) {
    const begun = performance.now();
    const { status, stderr } = spawnSync(process.execPath, program.args, { encoding: 'utf8' });
    program.ms.push(performance.now() - begun);
    if (status !== 0) throw new Error(`${program.what} failed: ${stderr}`);
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const floor = median(PROGRAMS[0].ms);
const bounds = [];
const rows = PROGRAMS.map(({ what, ms, most }) => {
  const ratio = median(ms) / floor;
  if (most !== undefined) bounds.push([what, ratio, '<=', most]);
  return `| ${what} | ${median(ms).toFixed(0)} ms | ${ratio.toFixed(2)} x | ${most === undefined ? '' : `${most} x`} |`;
});
process.stdout.write(
  [
    `Linux ${release()}, ${cpus().length} cores, Node.js ${process.versions.node}; median of ${ROUNDS}, in turns.`,
    '',
    '| what | time | of `node -e 0` | wanted |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n'),
);
reportBounds(bounds);
