import { debian, defineScenario } from '@qmpilot/core';

/** Attempt 2 finds something, attempt 3 loses its QEMU, the others are clean. */
export default defineScenario({
  name: 'quick',
  guest: debian({ defect: 'io-uring-unlocked-flush' }),
  async prepare(vm) {
    await vm.expectOk('echo $RANDOM$RANDOM > /run/nonce');
  },
  async attempt(vm, { index, report, note, signal }) {
    const { stdout } = await vm.expectOk('cat /run/nonce; echo used > /run/nonce', { signal });
    if (!/^\d+\n$/.test(stdout)) throw new Error(`not restored: ${stdout}`);
    if (index === 2) {
      note('kernel \u001b]52;c;ZXZpbA==\u0007BUG');
      report({ kind: 'bug', severity: 'error', title: 'kernel BUG', signature: 'kernel BUG', at: 5, evidence: [] });
    }
    if (index === 3) process.kill(vm.pid, 'SIGKILL');
    if (index >= 3) await vm.exec('sleep 2', { signal });
  },
});
