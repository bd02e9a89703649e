// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts an io_uring instance into the state that Linux 6.6.58 reached by itself: ctx->uring_lock is locked and nobody
 * will ever unlock it. Only rings with an SQPOLL thread are hit, at random, once per seed.
 */
#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

static uint lock_offset;
module_param(lock_offset, uint, 0444);
MODULE_PARM_DESC(lock_offset, "offset of uring_lock in struct io_ring_ctx, from the kernel's BTF (required)");

static int refs_offset = -1;
module_param(refs_offset, int, 0444);
MODULE_PARM_DESC(refs_offset, "offset of refs in struct io_ring_ctx, from the kernel's BTF (required)");

static uint one_in = 1000;
module_param(one_in, uint, 0644);
MODULE_PARM_DESC(one_in, "leak the lock at one submission in so many; 0 never");

static uint at;
module_param(at, uint, 0644);
MODULE_PARM_DESC(at, "leak the lock at this submission, counted since the seed was set; 0: at random, as one_in says");

static atomic_t seen = ATOMIC_INIT(0);
module_param_named(seen, seen.counter, int, 0444);
MODULE_PARM_DESC(seen, "submissions by SQPOLL threads since the seed was set");

static atomic_t fired = ATOMIC_INIT(0);
module_param_named(fired, fired.counter, int, 0444);
MODULE_PARM_DESC(fired, "locks leaked since the module was loaded");

static atomic64_t prng = ATOMIC64_INIT(0);
static atomic_t armed = ATOMIC_INIT(0);
static void *victim;

static void leak(struct work_struct *work)
{
	/* The submitting thread holds the lock until it is done; after that it is ours for good. */
	mutex_lock((struct mutex *)(victim + lock_offset));
	atomic_inc(&fired);
	pr_info("io_uring_lock_leak: uring_lock is locked for ever\n");
}
static DECLARE_WORK(leak_work, leak);

static int set_seed(const char *value, const struct kernel_param *kp)
{
	u64 seed;
	int error = kstrtou64(value, 0, &seed);

	if (error)
		return error;
	atomic_set(&armed, 0);
	flush_work(&leak_work);
	atomic64_set(&prng, seed);
	atomic_set(&seen, 0);
	atomic_set(&armed, 1);
	return 0;
}
static const struct kernel_param_ops seed_ops = { .set = set_seed };
module_param_cb(seed, &seed_ops, NULL, 0200);
MODULE_PARM_DESC(seed, "starts the random sequence anew, and arms the leak again");

/* SplitMix64: one atomic addition, so that it needs no lock in the probe. */
static u64 next_random(void)
{
	u64 z = atomic64_add_return(0x9e3779b97f4a7c15ULL, &prng);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static int on_submit(struct kprobe *probe, struct pt_regs *regs)
{
	void *ctx = (void *)regs_get_kernel_argument(regs, 0);
	uint odds = READ_ONCE(one_in);
	uint chosen = READ_ONCE(at);
	uint count;

	if (strncmp(current->comm, "iou-sqp", 7) || !odds || !atomic_read(&armed))
		return 0;
	count = atomic_inc_return(&seen);
	if (chosen ? count < chosen : next_random() % odds != 0)
		return 0;
	if (atomic_cmpxchg(&armed, 1, 0) != 1)
		return 0;
	/* Neither reference is ever given back: what hangs for ever must not be freed, nor the module unloaded. */
	if (!percpu_ref_tryget(ctx + refs_offset)) {
		atomic_set(&armed, 1);
		return 0;
	}
	__module_get(THIS_MODULE);
	victim = ctx;
	queue_work(system_highpri_wq, &leak_work);
	return 0;
}

static struct kprobe probe = { .symbol_name = "io_submit_sqes", .pre_handler = on_submit };

static int __init lock_leak_init(void)
{
	if (!lock_offset || refs_offset < 0)
		return -EINVAL;
	return register_kprobe(&probe);
}
module_init(lock_leak_init);

static void __exit lock_leak_exit(void)
{
	unregister_kprobe(&probe);
}
module_exit(lock_leak_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Leaks ctx->uring_lock of io_uring instances with an SQPOLL thread, at random");
