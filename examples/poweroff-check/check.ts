/**
 * Does my service let the machine power off? Each unit gets a guest of its own, with nothing but that unit added; how long its stop takes,
 * and what is left in it when it does not end, is what systemd and the kernel say. Ends with 1 when a unit fails the check.
 *
 *     check.ts UNIT.service...
 */
import { basename } from 'node:path';
import { boot, debian, formatShutdown, type Vm } from '@qmpilot/core';

/** A stop that takes longer is one that somebody waits for. */
const LIMIT = '10s';

const units = process.argv.slice(2);
await using vm = await boot(debian());
await vm.snapshot('booted');

let failed = false;
for (const unit of units) {
  const guest = await vm.fork('booted');
  if (!guest) continue;
  await using one: Vm = guest;
  const name = basename(unit);
  await one.copyIn(unit, `/etc/systemd/system/${name}`);
  await one.expectOk(`systemctl daemon-reload && systemctl start ${name}`);
  await one.waitForUnit(name);
  const report = await one.poweroff({ timeout: LIMIT });
  console.log(`${name}: ${formatShutdown(report)}\n`);
  failed ||= report.outcome !== 'clean';
}
process.exitCode = failed ? 1 : 0;
