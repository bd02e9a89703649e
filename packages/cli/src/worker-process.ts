// The program that controls the VMs of a worker, in a process of its own.
import { serveAttempts } from '@qmpilot/core/queue';
import { loadScenario } from './load-scenario.js';

serveAttempts(async (file) => (await loadScenario(file)).scenario);
