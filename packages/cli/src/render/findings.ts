import type { Finding, PoweroffStallFinding } from '@qmpilot/core';
import { shortMs } from './text/durations.js';
import { visible } from './text/visible.js';

/** Renders a finding as one line that is safe for a terminal. */
export function renderFinding(finding: Finding): string {
  const at = `at ${shortMs(finding.at)}`;
  return visible(isStall(finding) ? `${finding.title} (${stallDetails(finding)}), ${at}` : `${finding.title}, ${at}`);
}

function isStall(finding: Finding): finding is PoweroffStallFinding {
  return finding.kind === 'poweroff-stall';
}

function stallDetails(finding: PoweroffStallFinding): string {
  const limit = finding.limit === undefined ? 'no limit' : shortMs(finding.limit);
  return [
    ...(finding.description === undefined ? [] : [finding.description]),
    ...(finding.slice === undefined ? [] : [`in ${finding.slice}`]),
    `${shortMs(finding.elapsed)} of ${limit}`,
    finding.shutdownEvent ? 'QMP sent SHUTDOWN' : 'QMP sent no SHUTDOWN',
  ].join(', ');
}
