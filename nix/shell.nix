# nix develop: what building, testing and trying qmpilot takes; `npm test` finds all of it on PATH.
{
  mkShell,
  nodejs_22,
  qemu,
  util-linux,
  e2fsprogs,
  shadow,
  swtpm,
  nixfmt-rfc-style,
}:
mkShell {
  packages = [
    nodejs_22
    qemu
    util-linux
    e2fsprogs
    shadow
    swtpm
    nixfmt-rfc-style
  ];
}
