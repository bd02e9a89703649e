# nix run .#demo: the bug of the report, on its own kernel, in as many attempts as are asked for.
{
  writeShellApplication,
  qmpilot,
  vm,
}:
writeShellApplication {
  name = "qmpilot-demo";
  runtimeInputs = [ qmpilot ];
  text = ''
    export QMPILOT_NIXOS_SCRIPT=${vm}/bin/run-nixos-vm
    # 1 is the demo's purpose: the bug was reproduced.
    status=0
    qmpilot repro ${qmpilot}/share/qmpilot/examples/npm-ci-hang/npm-ci-hang.repro.ts \
      --guest nixos --attempts 3 "$@" || status=$?
    [ "$status" = 1 ] && exit 0
    exit "$status"
  '';
}
