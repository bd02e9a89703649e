// SPDX-License-Identifier: GPL-2.0-only
/* Fails in one way, named by the parameter `how`: for captures of what the kernel then prints. Never load it on a machine that matters. */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *how = "";
module_param(how, charp, 0);

static DEFINE_MUTEX(lock);
static DECLARE_COMPLETION(never);
static volatile int zero;

static noinline void demo_null(void) { *(volatile int *)(unsigned long)zero = 1; }
static noinline void demo_page(void) { *(volatile int *)0xffffc900deadb000UL = 1; }
static noinline void demo_gpf(void) { *(volatile int *)0x6b6b6b6b6b6b6b6bUL = 1; }
static noinline void demo_exec(void) { ((void (*)(void))(unsigned long)zero)(); }
static noinline void demo_ud(void) { asm volatile(".byte 0x0f, 0x0b, 0x90"); }
static noinline void demo_divide(void) { asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx"); }
static noinline void demo_bug(void) { BUG(); }
static noinline void demo_warn(void) { WARN(1, "demo: a warning\n"); }
static noinline void demo_warn_on(void) { WARN_ON(!zero); }
static noinline void demo_panic(void) { panic("demo panic %d", 7); }

static noinline void demo_refcount(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
}

static noinline void demo_canary(void)
{
	char buffer[8];

	memset(buffer, 1, strlen(how) * 16);
	pr_info("%*ph\n", 8, buffer);
}

static noinline void demo_list(void)
{
	static LIST_HEAD(head);
	static struct list_head entry;

	list_add(&entry, &head);
	entry.next = &entry;
	list_del(&entry);
}

static noinline int demo_stack(int depth)
{
	volatile char room[512];

	room[depth & 511] = 1;
	return demo_stack(depth + 1) + room[0];
}

static noinline void demo_atomic(void)
{
	preempt_disable();
	msleep(10);
	preempt_enable();
}

static noinline void demo_lockup(void)
{
	preempt_disable();
	for (;;)
		cpu_relax();
}

static noinline void demo_rcu(void)
{
	rcu_read_lock();
	for (;;)
		cpu_relax();
}

static noinline void demo_double_free(void)
{
	void *object = kmalloc(64, GFP_KERNEL);

	kfree(object);
	kfree(object);
}

static int demo_thread(void *unused)
{
	wait_for_completion(&never);
	return 0;
}

static noinline void demo_hang(void)
{
	mutex_lock(&lock);
	mutex_lock(&lock);
}

static int __init fail_init(void)
{
	static const struct { const char *name; void (*run)(void); } ways[] = {
		{ "null", demo_null }, { "page", demo_page }, { "gpf", demo_gpf }, { "exec", demo_exec }, { "ud", demo_ud },
		{ "divide", demo_divide }, { "bug", demo_bug }, { "warn", demo_warn }, { "warn_on", demo_warn_on },
		{ "panic", demo_panic }, { "refcount", demo_refcount }, { "list", demo_list }, { "atomic", demo_atomic },
		{ "lockup", demo_lockup }, { "rcu", demo_rcu }, { "dblfree", demo_double_free }, { "hang", demo_hang },
		{ "canary", demo_canary },
	};
	size_t i;

	if (!strcmp(how, "stack"))
		return demo_stack(0);
	if (!strcmp(how, "kthread"))
		return PTR_ERR_OR_ZERO(kthread_run(demo_thread, NULL, "two words"));
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(how, ways[i].name)) {
			ways[i].run();
			return 0;
		}
	return -EINVAL;
}

static void __exit fail_exit(void) {}

module_init(fail_init);
module_exit(fail_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Fails in one way");
