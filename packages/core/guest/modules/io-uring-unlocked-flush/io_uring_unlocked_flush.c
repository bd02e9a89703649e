// SPDX-License-Identifier: GPL-2.0-only
/*
 * Undoes Linux commit 8d09a88ef9d3 ("io_uring: always lock __io_cqring_overflow_flush") on a running kernel that has it.
 *
 * That commit put mutex_lock(&ctx->uring_lock) and mutex_unlock(&ctx->uring_lock) around the calls of
 * __io_cqring_overflow_flush(), which unlocks and locks the same mutex when it has to reschedule. This module skips the two
 * added calls by kprobes. Everything that follows is the kernel's own doing.
 *
 * Before the commit, rings with IORING_SETUP_IOPOLL were locked at these places; here they are not.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>

#ifndef CONFIG_X86_64
#error "the call instructions are those of x86-64"
#endif

/* Of the four calls in io_uring_enter(), the one in the IOPOLL path was locked before the fix. */
#define CALLER "__do_sys_io_uring_enter"
#define FLUSH "__io_cqring_overflow_flush"
#define CALLS 4
#define LOCKED_CALLS 3

#define CALL_LENGTH 5
#define MAX_FLUSHING 64

static ulong unlocked;
module_param(unlocked, ulong, 0444);
MODULE_PARM_DESC(unlocked, "flushes that ran without the lock since the module was loaded (read-only)");

struct function {
	const u8 *start;
	const u8 *end;
};

struct site {
	const u8 *lock;
	const u8 *unlock;
};

static struct kprobe probes[2 * LOCKED_CALLS];
static struct kprobe *probe_list[2 * LOCKED_CALLS];

/* The tasks between the two skipped calls: what is locked really is unlocked really, also around loading and unloading. */
static struct task_struct *flushing[MAX_FLUSHING];

static int skip(struct kprobe *probe, struct pt_regs *regs)
{
	regs->ip = (unsigned long)probe->addr + CALL_LENGTH;
	return 1;
}

static int skip_lock(struct kprobe *probe, struct pt_regs *regs)
{
	int i;

	/* Given back by skip_unlock(), so that the module is not unloaded while a flush runs. */
	if (!try_module_get(THIS_MODULE))
		return 0;
	for (i = 0; i < MAX_FLUSHING; i++) {
		if (!READ_ONCE(flushing[i]) && !cmpxchg(&flushing[i], NULL, current)) {
			/* A lost increment under contention does not matter. */
			WRITE_ONCE(unlocked, unlocked + 1);
			return skip(probe, regs);
		}
	}
	module_put(THIS_MODULE);
	return 0;
}

static int skip_unlock(struct kprobe *probe, struct pt_regs *regs)
{
	int i;

	for (i = 0; i < MAX_FLUSHING; i++) {
		if (READ_ONCE(flushing[i]) == current) {
			WRITE_ONCE(flushing[i], NULL);
			module_put(THIS_MODULE);
			return skip(probe, regs);
		}
	}
	return 0;
}

/* A probe with a post handler is not optimised into a jump, which could not change the instruction pointer. */
static void keep_breakpoint(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/* The extent of a function, by kprobes (its address) and kallsyms (its size): neither lookup is exported by itself. */
static int __init find_function(const char *name, struct function *found)
{
	struct kprobe probe = { .symbol_name = name };
	char symbol[KSYM_SYMBOL_LEN];
	unsigned long offset, size;
	const char *numbers;
	int error = register_kprobe(&probe);

	if (error) {
		pr_err("not loaded: this kernel has no function %s that can be probed (%d)\n", name, error);
		return error;
	}
	sprint_symbol(symbol, (unsigned long)probe.addr);
	unregister_kprobe(&probe);
	numbers = strchr(symbol, '+');
	if (!numbers || sscanf(numbers, "+%lx/%lx", &offset, &size) != 2) {
		pr_err("not loaded: the size of %s is unknown: %s\n", name, symbol);
		return -ENOENT;
	}
	found->start = (const u8 *)probe.addr - offset;
	found->end = found->start + size;
	return 0;
}

static bool __init is_call(const u8 *at, const void *function)
{
	return at[0] == 0xe8 && at + CALL_LENGTH + *(const s32 *)(at + 1) == (const u8 *)function;
}

/* The length of an instruction that passes an argument or keeps a result; 0 for any other. */
static unsigned int __init move_length(const u8 *at)
{
	unsigned int rex = (at[0] & 0xf0) == 0x40;
	const u8 *op = at + rex;

	if (!rex && op[0] == 0x31 && op[1] == 0xf6) /* xor %esi,%esi */
		return 2;
	if (op[0] == 0x89 && op[1] >= 0xc0) /* mov %reg,%reg */
		return rex + 2;
	if (op[0] == 0x8b && (op[1] & 0xc7) == 0x44 && op[2] == 0x24) /* mov disp8(%rsp),%reg */
		return rex + 4;
	return 0;
}

/* The call of a function that comes next, with nothing but moves before it. */
static const u8 *__init next_call(const u8 *at, const u8 *end, const void *function)
{
	unsigned int length;

	while (at + CALL_LENGTH <= end && !is_call(at, function)) {
		length = move_length(at);
		if (!length)
			return NULL;
		at += length;
	}
	return at + CALL_LENGTH <= end ? at : NULL;
}

static int __init find_sites(struct site *sites)
{
	struct function caller, flush;
	int error, calls = 0, locked = 0;
	const u8 *at;

	error = find_function(FLUSH, &flush) ?: find_function(CALLER, &caller);
	if (error)
		return error;
	for (at = caller.start; at + CALL_LENGTH <= caller.end; at++) {
		const u8 *call, *unlock;

		if (is_call(at, flush.start))
			calls++;
		if (!is_call(at, mutex_lock))
			continue;
		call = next_call(at + CALL_LENGTH, caller.end, flush.start);
		unlock = call ? next_call(call + CALL_LENGTH, caller.end, mutex_unlock) : NULL;
		if (!unlock)
			continue;
		if (locked < LOCKED_CALLS)
			sites[locked] = (struct site){ .lock = at, .unlock = unlock };
		locked++;
	}
	if (calls == CALLS && locked == LOCKED_CALLS)
		return 0;
	pr_err("not loaded: %s calls %s %d times, %d of them between mutex_lock and mutex_unlock; %d and %d are expected\n",
	       CALLER, FLUSH, calls, locked, CALLS, LOCKED_CALLS);
	return -ENOENT;
}

static int __init unlocked_flush_init(void)
{
	struct site sites[LOCKED_CALLS];
	int i, error = find_sites(sites);

	if (error)
		return error;
	/* The unlocking side first: a task that runs in between finds itself not in the list, and unlocks. */
	for (i = 0; i < LOCKED_CALLS; i++) {
		probes[i].addr = (kprobe_opcode_t *)sites[i].unlock;
		probes[i].pre_handler = skip_unlock;
		probes[LOCKED_CALLS + i].addr = (kprobe_opcode_t *)sites[i].lock;
		probes[LOCKED_CALLS + i].pre_handler = skip_lock;
	}
	for (i = 0; i < 2 * LOCKED_CALLS; i++) {
		probes[i].post_handler = keep_breakpoint;
		probe_list[i] = &probes[i];
	}
	/* Fails for an address that is not the start of an instruction. */
	error = register_kprobes(probe_list, 2 * LOCKED_CALLS);
	if (error) {
		pr_err("not loaded: cannot probe the calls of %s: %d\n", FLUSH, error);
		return error;
	}
	pr_info("%s runs without the lock at %d places of %s\n", FLUSH, LOCKED_CALLS, CALLER);
	return 0;
}
module_init(unlocked_flush_init);

static void __exit unlocked_flush_exit(void)
{
	unregister_kprobes(probe_list, 2 * LOCKED_CALLS);
}
module_exit(unlocked_flush_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Undoes \"io_uring: always lock __io_cqring_overflow_flush\"");
