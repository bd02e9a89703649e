import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

/** mm/oom_kill.c, mm/page_alloc.c */
export const MEMORY: readonly Rule[] = [
  {
    kind: 'oom-kill',
    severity: 'warning',
    literals: ['ut of memory'],
    pattern:
      /^(?<what>Memory cgroup out of memory|Out of memory)(?: \([^)]{1,64}\))?: Kill(?:ed)? process (?<pid>\d{1,10}) \((?<comm>.{1,64}?)\)(?:[ ,]|$)/,
    title: '{what}: Killed process {comm}',
    from: 'none',
    single: true,
  },
  {
    // The line that names the killed process follows right behind it, if the log continues.
    kind: 'oom-kill',
    severity: 'warning',
    literals: ['oom-kill:constraint='],
    pattern: /^oom-kill:constraint=\w{1,40},.{0,600}?task=(?<comm>.{1,64}?),pid=(?<pid>\d{1,10})(?:,|$)/,
    title: 'Out of memory: Killed process {comm}',
    variants: [
      {
        pattern: /^oom-kill:constraint=CONSTRAINT_MEMCG/,
        severity: 'warning',
        title: 'Memory cgroup out of memory: Killed process {comm}',
      },
    ],
    from: 'none',
    provisional: true,
  },
  {
    kind: 'oom-kill',
    severity: 'warning',
    literals: ['invoked oom-killer'],
    pattern: /^(?<comm>.{1,64}?) invoked oom-killer: /,
    title: 'Out of memory: {comm} invoked oom-killer',
    from: 'none',
    provisional: true,
    // The state of memory and a line for each task stand before the kill.
    patience: 20_000,
    confirmedBy: /^(?:Mem-Info|Tasks state|\[ *pid *\]|CPU: \d|Call [Tt]race)/,
  },
  {
    kind: 'page-allocation',
    severity: 'warning',
    literals: ['page allocation failure', 'page allocation stalls'],
    pattern: /^(?<comm>.{1,64}?)(?:\(\d{1,10}\))?: page allocation (?<what>failure|stall)(?:s for \d{1,10}ms)?[:,.] ?/,
    title: 'page allocation {what} in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'packets'],
  },
];
