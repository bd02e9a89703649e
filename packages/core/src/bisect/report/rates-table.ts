import { niceCeiling, rateGauge } from '../../report/html/charts.js';
import { type Html, html } from '../../report/html/html.js';
import type { Count } from '../../statistics/count.js';
import { wilsonInterval } from '../../statistics/wilson.js';
import { formatPercent } from '../../util/text/format.js';
import { shortName } from '../commit-name.js';
import type { BisectResult } from '../result.js';

interface Row extends Count {
  readonly label: string;
  readonly commit: string;
  readonly note: string;
  /** Colour: 0 with the culprit, 1 without. */
  readonly run: 0 | 1;
}

/** The rates at the ends and of the confirmation, each with its interval. */
export function ratesTable({ good, bad, ends, confirmation, revert }: BisectResult): Html {
  const rows: Row[] = [
    { label: 'Bad end', commit: bad, note: 'before the search', run: 0, ...ends.bad },
    { label: 'Good end', commit: good, note: 'before the search', run: 1, ...ends.good },
    ...confirmation.map((one, index): Row => ({
      ...{ label: index === 0 ? 'Culprit' : 'Its parent', run: index === 0 ? 0 : 1 },
      ...{ ...one, note: 'fresh attempts of the confirmation' },
    })),
    ...(revert === undefined || 'reason' in revert
      ? []
      : [
          { label: 'Reverted', commit: bad, note: 'the bad end with the culprit reverted', run: 1, ...revert } as const,
        ]),
  ];
  const most = niceCeiling(Math.max(0.01, ...rows.map((row) => wilsonInterval(row.failures, row.attempts)?.[1] ?? 0)));
  return html`<div class="versus">
${rows.map(({ label, commit, note, run, failures, attempts }) => {
  const interval = wilsonInterval(failures, attempts);
  return html`<div class="row"><div class="who"><i class="key run${run}"></i><b>${label}</b> <code>${shortName(commit)}</code><span>${note}</span></div>
<div>${interval !== null && rateGauge(failures / attempts, interval, Math.min(1, most), run)}</div>
<p>${failures} of ${attempts} attempts failed${interval !== null && `: ${formatPercent(failures / attempts)}, with an interval of ${formatPercent(interval[0])} to ${formatPercent(interval[1])}`}</p></div>`;
})}
</div>`;
}
