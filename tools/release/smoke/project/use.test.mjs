import { createVmTest, vmMatchers } from '@qmpilot/core/vitest';
import { describe, expect, it } from 'vitest';

describe('@qmpilot/core/vitest', () => {
  it('gives the matchers and makes a test of its own', () => {
    expect(Object.keys(vmMatchers)).toContain('toPowerOffCleanly');
    expect(createVmTest).toBeTypeOf('function');
  });
});
