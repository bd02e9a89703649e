import { union } from '../../union.js';

const INDENT = '^[ \\t]*';
const HEX = '[0-9a-f]';

/** A line that names the stack behind it. */
export const TRACE_LABEL: RegExp = new RegExp(
  `^${union([
    '[ \\t]*(?:Call Trace|Call trace|Backtrace|backtrace|Stack trace|stack backtrace|Call Trace \\(reliable\\))[^:]{0,40}:',
    '(?:\\[ {0,8}\\d+\\.\\d+\\] )?(?:Allocated|Freed|allocated|freed) (?:by task|in )',
    'Last potentially related',
    'Second to last',
    'Uninit was',
    '(?:and )?(?:bytes|Bytes) ',
    'Local variable',
    'NMI backtrace for',
    'Sending NMI',
    '(?:read|write|read-write|read \\(marked\\)|write \\(marked\\)|\\w{4,10}(?: \\(\\w{1,16}(?:, \\w{1,16})?\\))?) to 0x',
    '-> #\\d+ ',
    '\\.\\.\\. (?:key|acquired|which became)',
    'page last (?:allocated|free)',
    'the (?:existing|dependencies)',
    'Mem-Info',
    'Task dump for CPU',
    'task:',
  ])}`,
);

/** Registers and memory, which the kernel prints before, behind and (32-bit arm, exceptions on x86) within a stack: they never end one. */
export const REGISTERS: RegExp = new RegExp(
  `${INDENT}${union([
    // x86
    '(?:[ER](?:IP|SP|FLAGS|[A-D]X|[SD]I|BP)|R\\d\\d|ORIG_[RE]AX|CR\\d|DR\\d|[C-GS]S|PKRU|Code)(?::| {1,2}[[<])',
    '(?:e[a-d]x|e[sd]i|e[bs]p|[c-gs]s) {0,2}: {1,2}[0-9a-f]',
    '<(?:[A-Z#/]{2,10}[0-9]?)>',
    '#PF: ',
    '(?:PGD|P4D|PUD|PMD|PTE) [0-9a-f]',
    // arm, arm64, riscv, loongarch
    '(?:pc|lr|sp|ra|gp|epc|era|tp|fp|ip|[a-z]\\d{1,2}) {0,3}:? {0,2}(?:[0-9a-f]{8}|\\[<|[A-Za-z_.][\\w.]{1,120}\\+0x)',
    '(?:status|pstate|psr|badv) {0,2}: {0,2}[0-9a-f]',
    '(?:Flags|Control|Table): ',
    '(?:ESR|EC|SET|EA|FSC|CM|ISV|FSR|GCS)(?: = |: )',
    'Exception stack ?\\(',
    '(?:PC|LR) is at ',
    '(?:pgd|ttbr) = ',
    // powerpc
    '(?:NIP|LR|CTR|REGS|MSR|CFAR|DAR|XER|GPR\\d\\d|IRQMASK)(?::| \\[)',
    'Instruction dump:',
    '--- (?:interrupt|Exception): ',
    // s390
    'Krnl ',
    'R:\\d T:\\d',
    'Last Breaking',
    // mips, loongarch
    '\\$ {0,2}\\d{1,2} {0,3}: ',
    '(?:Hi|Lo|Status|Cause|BadVA|PrId|CRMD|PRMD|EUEN|ECFG|ESTAT|BADV|PRID|ERA) {0,4}: ',
    // memory
    `${HEX}{16}: `,
    `${HEX}{4}: +${HEX}{8} `,
    `[>#*]${HEX}{8}`,
    `\\[${HEX}{8,16}\\] (?!\\[)`,
    '\\[<[0-9a-fx]{8,18}>\\] ',
    'rcu(?:_\\w+)?: ',
  ])}`,
);

/** Lines that a report may hold beside its stacks; a stack is over when one comes. */
export const STRUCTURE: RegExp = new RegExp(
  `${INDENT}${union([
    '(?:Not t|T)ainted',
    '"echo 0 ',
    'CPU: ?\\d',
    'CPU \\d+ ',
    'PID: ',
    'Pid: ',
    'Comm: ',
    'Hardware',
    'Workqueue: ',
    'Modules linked',
    'Process .{1,64} ?\\((?:pid: |\\d)',
    '(?:Mem|Data) abort',
    'swapper',
    'Stack ?(?::|\\(|from )',
    'Oops',
    'Internal error',
    'Preemption disabled',
    'INFO: (?:lockdep is|Stall ended|task .{1,64} (?:is )?blocked on|Slab|Object|Freed|Allocated|0x)',
    'irq event stamp',
    '(?:hard|soft)irqs last',
    'in_atomic',
    'preempt_count',
    'RCU nest',
    '(?:Read|Write) of size',
    'Free of addr',
    'The buggy',
    'which belongs',
    'Memory state',
    'Register [a-z0-9]{1,4} information: ',
    '\\(t=',
    '\\(detected',
    'Possible timer',
    'Unless ',
    'comm "',
    'hex dump',
    'page:',
    'flags:',
    'raw:',
    '(?:\\d+ )?locks? held',
    '#\\d+: ',
    'either ',
    'stack backtrace',
    'Kernel Offset',
    'note: ',
    'Object ',
    'Redzone',
    'Padding',
    'Slab 0x',
    'Showing ',
    'other info',
    'ret_from',
    'WARNING: CPU',
    '---\\[',
    '={8}',
    '-{8}',
    'Disabling (?:lock|IRQ)',
    'Rebooting',
    'Shutting down',
    'Dumping',
    'Value changed',
    'Reported by',
    'Bytes',
    'hung_task',
    'sched_show',
    'Future hung',
    'khungtaskd',
    'last function',
    'blocked on',
    'but task',
    'is trying',
    'at:',
    'page dumped',
    'page last',
    'page_owner',
    'addr:',
    'file:',
    'BUG: Bad rss',
    // machine checks
    '(?:mce: |\\{\\d{1,6}\\}|EDAC [\\w ]{1,24}: )?\\[Hardware Error\\]: ',
    'EDAC ',
    // handlers of an interrupt
    'handlers:',
    // memory, when there is none left
    'Node \\d',
    '(?:active|inactive|unevictable|lowmem_reserve|DMA|Normal|HighMem|Free swap|Total swap|Swap cache)',
    '\\d{1,12} (?:total pagecache|pages|KiB|reserved)',
    'SLUB: ',
  ])}`,
);

/** As a symbolized log marks what the compiler put into its caller. */
export const INLINED = /\[inline\](?:\s*$|, CPU#)/;
/** lib/nmi_backtrace.c */
export const SKIPPED_BACKTRACE = /^NMI backtrace for cpu \d+ skipped: idling/;
export const END_MARKER = /^(?:---\[ end |Rebooting in \d)/;
