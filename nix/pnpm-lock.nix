# Reads the section `packages` of a pnpm-lock.yaml (version 9), which is as regular as this:
#
#   '@scope/name@1.2.3':
#     resolution: {integrity: sha512-...}
#     cpu: [x64]
#     os: [linux]
#
# and returns what a platform needs of it: a list of { name, version, integrity }.
{
  lib,
  cpu ? "x64",
  os ? "linux",
  libc ? "glibc",
}:
text:
let
  afterHeading = lib.last (lib.splitString "\npackages:\n" text);
  section = lib.head (lib.splitString "\nsnapshots:\n" afterHeading);
  # Entries are separated by empty lines.
  blocks = map (lib.removePrefix "\n") (lib.splitString "\n\n" section);
  entries = lib.filter (entry: entry != "") blocks;

  unquote = value: lib.removeSuffix "'" (lib.removePrefix "'" value);

  field =
    key: entry:
    let
      found = builtins.match ".*\n    ${key}: \\[([^]]*)].*" ("\n" + entry);
    in
    if found == null then null else map unquote (lib.splitString ", " (lib.head found));

  fits =
    key: value: entry:
    let
      values = field key entry;
    in
    values == null
    || lib.elem value values
    || (lib.all (lib.hasPrefix "!") values && !(lib.elem "!${value}" values));

  fitsPlatform = entry: fits "cpu" cpu entry && fits "os" os entry && fits "libc" libc entry;

  parse =
    entry:
    let
      heading = builtins.match "  '?(@?[^@']+)@([^:']+)'?:\n.*" entry;
      integrity = builtins.match ".*integrity: (sha512-[A-Za-z0-9+/=]+).*" entry;
    in
    if heading == null || integrity == null then
      throw "pnpm-lock.yaml: cannot read this entry:\n${entry}"
    else
      {
        name = lib.elemAt heading 0;
        version = lib.elemAt heading 1;
        integrity = lib.head integrity;
      };
in
map parse (lib.filter fitsPlatform entries)
