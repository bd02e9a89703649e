/**
 * Does my service let the machine power off? Each unit gets a guest of its own, with nothing but that unit added; how long its stop takes,
 * and what is left in it when it does not end, is what systemd and the kernel say. Ends with 1 when a unit fails the check.
 *
 *     check.ts UNIT.service...
 */
import { basename } from 'node:path';
import { boot, debian } from '@qmpilot/core';
import { formatShutdown } from '@qmpilot/core/detect';

/** How many times longer than without the unit a shutdown may take, and limits for hosts that are very fast or very busy. */
const FACTOR = 4;
const MIN_MS = 10_000;
const MAX_MS = 60_000;

const units = process.argv.slice(2);
await using vm = await boot(debian());
await vm.snapshot('booted');

await using plain = await vm.fork('booted');
const { elapsed } = await plain.poweroff({ timeout: '5m' });
const timeout = Math.min(MAX_MS, Math.max(MIN_MS, FACTOR * elapsed));

let failed = false;
for (const unit of units) {
  await using one = await vm.fork('booted');
  const name = basename(unit);
  await one.copyIn(unit, `/etc/systemd/system/${name}`);
  await one.expectOk(`systemctl daemon-reload && systemctl start ${name}`);
  await one.waitForUnit(name);
  const report = await one.poweroff({ timeout });
  console.log(`${name}: ${formatShutdown(report)}\n`);
  failed ||= report.outcome !== 'clean';
}
process.exitCode = failed ? 1 : 0;
