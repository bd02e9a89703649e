/** Types on the guest's keyboard, and keeps what its screen and its serial console show: screenshot.png, console.svg. */
import { writeFile } from 'node:fs/promises';
import { boot, debian } from '@qmpilot/core';

await using vm = await boot(debian(), { display: 'std' });

await vm.keyboard.type('clear; uname -a; touch /run/typed\n');
await vm.waitForFile('/run/typed');
const png = await vm.screenshot();
await writeFile('screenshot.png', png);
console.log(`screenshot.png: ${png.readUInt32BE(16)} x ${png.readUInt32BE(20)} pixels`);

const { screen } = vm.console;
await vm.console.type('ls --color=always /; echo "that was $(ls / | wc -l) names"\n');
// The line is whole when the prompt is below it.
await screen.waitFor(/that was \d+ names\n.*# ?$/m);
await writeFile('console.svg', screen.toSvg());
console.log(`console.svg: ${screen.columns} x ${screen.rowCount} characters`);
