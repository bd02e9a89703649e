export { boot } from './vm/boot.js';
export type { BootOptions } from './vm/boot.js';
export { Vm } from './vm/vm.js';
export type { ForkOptions, RestoreOptions, SnapshotOptions } from './vm/vm.js';
export { direct } from './guests/direct.js';
export type { DirectOptions } from './guests/direct.js';
export { isQmpilotError, QmpilotError } from './errors.js';
