import { QmpilotError } from '@qmpilot/core';

/** A scenario failed outside of any attempt: in `prepare`, in a timer or in a promise that was not awaited. Neither a verdict nor a usage error. */
export class ScenarioFailure extends QmpilotError {}
