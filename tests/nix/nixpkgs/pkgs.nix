# Packages as names: enough to be put into a text, and to be asked how they would be built.
{
  lib,
  package ?
    name: attrs:
    attrs
    // {
      inherit name;
      type = "derivation";
      outPath = "/nix/store/00000000000000000000000000000000-${name}";
    },
  named ? version: pname: package "${pname}-${version}" { inherit pname version; },
}:
let
  callPackage =
    file: arguments:
    let
      function = import file;
      wanted = builtins.functionArgs function;
      available = lib.filterAttrs (name: _: wanted ? ${name}) (pkgs // { inherit lib; });
      result = function (available // arguments);
    in
    # As nixpkgs' makeOverridable does, to whatever set comes out.
    result
    // {
      override = changes: callPackage file (arguments // changes);
      overrideDerivation = change: callPackage file arguments // change result;
    };

  stdenv.mkDerivation = attrs: package (attrs.name or "${attrs.pname}-${attrs.version}") attrs;

  pkgs = {
    inherit callPackage lib stdenv;
    stdenvNoCC = stdenv;
    runCommand = name: attrs: buildCommand: package name (attrs // { inherit buildCommand; });
    writeText = name: text: package name { inherit text; };
    writeShellApplication = attrs: package attrs.name attrs;
    mkShell = package "shell";

    bashInteractive = named "5.2" "bash-interactive";
    cacert = named "3" "nss-cacert";
    e2fsprogs = named "1.47" "e2fsprogs";
    gdb = named "14.2" "gdb";
    libuv = named "1.48.0" "libuv" // {
      debug = named "1.48.0" "libuv-debug";
    };
    ltrace = named "0.7" "ltrace";
    makeWrapper = named "1" "make-wrapper";
    mmdebstrap = named "1.5" "mmdebstrap";
    nixfmt-rfc-style = named "1" "nixfmt";
    nixfmt-tree = named "1" "nixfmt-tree";
    nodejs_22 = named "22.4.1" "nodejs";
    qemu = named "9" "qemu";
    shadow = named "4" "shadow";
    swtpm = named "0.9" "swtpm";
    strace = named "6" "strace";
    tmux = named "3.4" "tmux";
    util-linux = named "2.40" "util-linux";
  };
in
pkgs
