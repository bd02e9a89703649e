{ lib }:
let
  inherit (builtins)
    all
    concatMap
    isAttrs
    isBool
    isInt
    isList
    isPath
    isString
    ;

  one =
    path: values:
    if all (value: value == builtins.head values) values then
      builtins.head values
    else
      throw "The option `${path}' has conflicting definition values.";

  type = name: check: {
    inherit name check;
    merge = one;
  };
  text = value: isString value || isPath value || (isAttrs value && value ? outPath);

  listOf = element: {
    name = "list of ${element.name}";
    check = isList;
    merge =
      path: values:
      let
        held = concatMap (inner: map (one: one.value) (lib.discharge 100 inner));
      in
      map (value: lib.mergeChecked "${path}.*" element [ value ]) (concatMap held values);
  };

  attrsOf = element: {
    name = "attribute set of ${element.name}";
    check = isAttrs;
    merge =
      path: values:
      lib.genAttrs (lib.unique (concatMap lib.namesOf values)) (
        name:
        lib.mergeChecked "${path}.${name}" element (
          lib.strongest (concatMap (lib.discharge 100) (concatMap (lib.below name) values))
        )
      );
  };
in
{
  inherit listOf attrsOf;
  bool = type "boolean" isBool;
  int = type "signed integer" isInt;
  str = type "string" isString;
  path = type "path" text;
  package = type "package" text;
  lines = {
    name = "strings concatenated with \"\\n\"";
    check = isString;
    merge = _: lib.concatStringsSep "\n";
  };
  anything = type "anything" (_: true);
  # What an entry of a unit file may be.
  unitValue = type "systemd option" (
    value: isBool value || isInt value || isString value || isPath value || isList value
  );
  sysctl = type "null or integer or string" (value: value == null || isInt value || isString value);
  strMatching =
    pattern:
    type "string matching the pattern ${pattern}" (
      value: isString value && builtins.match pattern value != null
    );
  enum = values: type "one of ${builtins.toJSON values}" (value: builtins.elem value values);
  ints = {
    positive = type "positive integer" (value: isInt value && value > 0);
    between =
      low: high:
      type "integer between ${toString low} and ${toString high}" (
        value: isInt value && value >= low && value <= high
      );
  };
  nullOr = element: {
    name = "null or ${element.name}";
    check = value: value == null || element.check value;
    merge =
      path: values:
      if builtins.head values == null then one path values else element.merge path values;
  };
  submodule = module: {
    name = "submodule";
    check = value: isAttrs value;
    merge =
      path: values:
      (lib.evalModules {
        inherit path;
        modules = [ module ] ++ map (value: { config = value; }) values;
      }).config;
  };
}
