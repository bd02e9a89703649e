import { expect, test } from 'vitest';
import { COMMON_SKIP } from '../rules/rule.js';
import { chooseFunction } from './frame-choice.js';

const chosen = (...names: string[]) =>
  chooseFunction(
    names.map((name) => ({ function: name, raw: `${name}+0x1/0x2` })),
    COMMON_SKIP,
  );

test.each([
  'get_user_pages_remote',
  '__get_user_pages',
  'put_user_ns',
  'clear_page_dirty_for_io',
  'atomic_open',
  'atomic_notifier_call_chain',
  'device_add_disk',
  'rb_commit',
  'down_graph',
])('%s only begins like what says nothing', (name) => {
  expect(chosen(name, 'caller')).toBe(name);
});

test.each([
  '__get_user_nocheck_4',
  'get_user',
  '__put_user_8',
  'clear_page_erms',
  'clear_page',
  'atomic_dec_and_mutex_lock',
  'raw_atomic64_add',
  'device_add',
  'device_del',
  'rb_insert_color',
  '__rb_erase_color',
  'down_read_trylock',
  'down',
  'up_write',
  '__up_read',
  'vmalloc_user',
  'prepare_alloc_pages',
  'do_tag_check_fault',
])('%s says nothing', (name) => {
  expect(chosen(name, 'caller')).toBe('caller');
});
