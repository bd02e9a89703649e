# A small module system: mkIf, mkMerge, mkOverride, options with types, and an error for an undeclared option.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    filter
    foldl'
    isAttrs
    isFunction
    ;

  isKind = kind: value: isAttrs value && (value._type or null) == kind;
  mkKind = kind: rest: rest // { _type = kind; };

  isOption = isKind "option";

  mkIf = condition: content: mkKind "if" { inherit condition content; };
  mkMerge = contents: mkKind "merge" { inherit contents; };
  mkOverride = priority: content: mkKind "override" { inherit priority content; };

  # The definitions of one name within a definition, without asking whether they hold.
  below =
    name: definition:
    if isKind "if" definition then
      map (mkIf definition.condition) (below name definition.content)
    else if isKind "merge" definition then
      concatMap (below name) definition.contents
    else if isKind "override" definition then
      map (mkOverride definition.priority) (below name definition.content)
    else if definition ? ${name} then
      [ definition.${name} ]
    else
      [ ];

  namesOf =
    definition:
    if isKind "if" definition || isKind "override" definition then
      namesOf definition.content
    else if isKind "merge" definition then
      concatMap namesOf definition.contents
    else
      attrNames definition;

  # The values that hold, each with its priority.
  discharge =
    priority: definition:
    if isKind "if" definition then
      if definition.condition then discharge priority definition.content else [ ]
    else if isKind "merge" definition then
      concatMap (discharge priority) definition.contents
    else if isKind "override" definition then
      discharge definition.priority definition.content
    else
      [
        {
          inherit priority;
          value = definition;
        }
      ];

  strongest =
    values:
    let
      best = foldl' (least: one: if one.priority < least then one.priority else least) 9999 values;
    in
    map (one: one.value) (filter (one: one.priority == best) values);

  mergeOption =
    path: option: definitions:
    let
      standing = if option ? default then [ (mkOverride 1500 option.default) ] else [ ];
      values = strongest (concatMap (discharge 100) (definitions ++ standing));
    in
    if values == [ ] then
      throw "The option `${path}' is used but not defined."
    else
      mergeChecked path option.type values;

  mergeChecked =
    path: type: values:
    let
      wrong = filter (value: !(type.check value)) values;
    in
    if wrong == [ ] then
      type.merge path values
    else
      throw "A definition for option `${path}' is not of type `${type.name}'.";

  evalTree =
    path: options: definitions:
    let
      at = name: if path == "" then name else "${path}.${name}";
      unknown = filter (name: !(options ? ${name})) (concatMap namesOf definitions);
    in
    if unknown != [ ] then
      throw "The option `${at (builtins.head unknown)}' does not exist."
    else
      builtins.mapAttrs (
        name: option:
        let
          own = concatMap (below name) definitions;
        in
        if isOption option then mergeOption (at name) option own else evalTree (at name) option own
      ) options;

  mergeOptions =
    one: other:
    one
    // builtins.mapAttrs (
      name: value:
      if one ? ${name} && !(isOption value) then mergeOptions one.${name} value else value
    ) other;

  collect =
    arguments: module:
    let
      loaded = if builtins.isPath module || builtins.isString module then import module else module;
      content = if isFunction loaded then loaded arguments else loaded;
      structured = content ? options || content ? config || content ? imports;
      rest = removeAttrs content [
        "imports"
        "options"
        "config"
        "meta"
      ];
    in
    concatMap (collect arguments) (content.imports or [ ])
    ++ [
      {
        options = content.options or { };
        config = if content ? config then content.config else if structured then rest else content;
      }
    ];

  evalModules =
    {
      modules,
      specialArgs ? { },
      path ? "",
    }:
    let
      arguments = specialArgs // {
        inherit config lib options;
      };
      collected = concatMap (collect arguments) modules;
      options = foldl' mergeOptions { } (map (module: module.options) collected);
      config = evalTree path options (map (module: module.config) collected);
    in
    {
      inherit config options;
    };
in
{
  inherit
    below
    discharge
    evalModules
    mergeChecked
    mkIf
    mkMerge
    mkOverride
    namesOf
    strongest
    ;
  mkOption = mkKind "option";
  mkEnableOption =
    what:
    mkKind "option" {
      type = lib.types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
}
