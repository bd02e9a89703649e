import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

/** mm/page_alloc.c, mm/memory.c, mm/slub.c, mm/slab.c, rust/kernel */
export const CORRUPTION: readonly Rule[] = [
  {
    kind: 'bad-page',
    severity: 'error',
    literals: ['BUG: Bad page'],
    pattern: /^BUG: (?<what>Bad page (?:state|cache))(?: in process (?<comm>.{1,64}) {1,4}pfn:)?/,
    title: 'BUG: {what} in {function}',
    from: 'allocated',
    skip: [...COMMON_SKIP, 'pages'],
    patience: 24,
  },
  {
    kind: 'bad-page',
    severity: 'error',
    literals: ['BUG: Bad '],
    pattern: /^BUG: (?<what>Bad page map|Bad swap file entry)(?: in process (?<comm>.{1,64}) {1,4}(?:pfn|pte|pmd):)?/,
    title: 'BUG: {what}',
    from: 'none',
  },
  {
    kind: 'bad-page',
    severity: 'error',
    literals: ['BUG: Bad rss', 'BUG: non-zero '],
    pattern: /^BUG: (?<what>Bad rss-counter state|non-zero (?:nr_ptes|nr_pmds|pgtables_bytes) on freeing mm)/,
    title: 'BUG: {what}',
    from: 'none',
    // One look at the books of a dying process: a line for each counter that is off.
    continues: ['bad-page'],
    follows: true,
  },
  {
    kind: 'slab-corruption',
    severity: 'error',
    literals: ['BUG '],
    pattern:
      /^BUG (?<cache>[\w:.()/-]{1,64}) ?\((?:Not tainted|Tainted: [^)]{1,40})[^)]{0,20}\)[\t ]?: (?<what>[A-Z][\w ]{2,60}\w)/,
    title: 'BUG: {what}',
    from: 'none',
  },
  {
    kind: 'slab-corruption',
    severity: 'error',
    literals: ['Slab corruption', 'Slab error in'],
    pattern: /^(?:Slab corruption|slab error in|Slab error in)/i,
    title: 'BUG: slab corruption in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
  },
  {
    kind: 'rust-panic',
    severity: 'error',
    literals: ['rust_kernel: panicked at '],
    pattern: /^rust_kernel: panicked at (?:'[^']{0,256}', )?[\w./-]{1,200}:\d+(?::\d+)?:?/,
    title: 'rust panic in {function}',
    from: 'pc',
    skip: COMMON_SKIP,
    fatal: true,
  },
  {
    kind: 'rust-panic',
    severity: 'error',
    literals: ['panicked at '],
    pattern: /^(?:rust_kernel|[\w-]{1,64}): panicked at (?:'[^']{0,256}', )?[\w./-]{1,200}:\d+(?::\d+)?:?/,
    title: 'rust panic in {function}',
    from: 'pc',
    skip: COMMON_SKIP,
    vague: true,
    fatal: true,
  },
];
