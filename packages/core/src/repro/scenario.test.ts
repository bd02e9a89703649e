import { describe, expect, it } from 'vitest';
import type { GuestDescription } from '../guests/guest.js';
import { defineScenario, isScenario, onGuest, type Scenario } from './scenario.js';

const guest = (name: string): GuestDescription => ({ name, prepare: () => Promise.reject(new Error('never')) });
const scenario = defineScenario({
  guest: guest('debian'),
  guests: { nixos: guest('nixos') },
  attempt: () => Promise.resolve(),
});

it('runs on another of its guests by name, and is the same scenario otherwise', () => {
  const other = onGuest(scenario, 'nixos');
  expect(other.guest.name).toBe('nixos');
  expect({ ...other, guest: undefined }).toEqual({ ...scenario, guest: undefined });
  expect(isScenario(other)).toBe(true);
  expect(scenario.guest.name).toBe('debian');
});

it.each([
  [{ prepair: () => Promise.resolve() }, '"prepair"', /prepare/],
  [{ failOn: 'exit' }, 'failOn', /'throw'/],
  [{ detect: { kernelLog: ['hung-tusk'] } }, 'kernelLog', /./],
  [{ detect: { checks: [{ kind: 'corrupt' }] } }, 'checks[0].command', /./],
  [{ detect: { dstate: true } }, '"detect.dstate"', /dState/],
  [{ detect: { poweroff: { timout: '3m' } } }, '"detect.poweroff.timout"', /timeout/],
])('refuses what is not a part of a scenario, and would be left out unseen: %j', (part, said, hint) => {
  expect(() => defineScenario({ ...scenario, ...(part as object) })).toThrow(
    expect.objectContaining({
      code: 'SCENARIO',
      message: expect.stringContaining(said),
      hint: expect.stringMatching(hint),
    }),
  );
});

it.each(['windows', 'toString'])('has no guest %s, and says which it has', (name) => {
  expect(() => onGuest(scenario, name)).toThrow(expect.objectContaining({ code: 'USAGE', hint: 'it has: nixos' }));
});

describe('defineScenario', () => {
  it.each([
    [{ attempt: async () => {} }, 'names no guest'],
    [{ guest: guest('x') }, 'has no attempt'],
    [{ guest: guest('x'), attempt: async () => {}, prepare: 3 }, 'prepare'],
  ])('says what is missing in %j', (given, message) => {
    expect(() => defineScenario(given as unknown as Scenario)).toThrow(message);
  });
});
