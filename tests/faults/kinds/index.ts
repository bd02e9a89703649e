import { CONTROLLER_FAULTS } from './controller.js';
import type { FaultKind } from './fault-kind.js';
import { HOST_FAULTS } from './host.js';
import { QEMU_FAULTS } from './qemu.js';
import { SCENARIO_FAULTS } from './scenario.js';

export const KINDS: readonly FaultKind[] = [...QEMU_FAULTS, ...CONTROLLER_FAULTS, ...SCENARIO_FAULTS, ...HOST_FAULTS];
