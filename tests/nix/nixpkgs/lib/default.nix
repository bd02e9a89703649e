let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    elem
    filter
    foldl'
    head
    isList
    isString
    length
    listToAttrs
    map
    match
    replaceStrings
    split
    stringLength
    substring
    ;

  strings = rec {
    inherit concatStringsSep replaceStrings;
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    concatStrings = concatStringsSep "";
    optionalString = condition: text: if condition then text else "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        rest = stringLength text - stringLength suffix;
      in
      rest >= 0 && substring rest (stringLength suffix) text == suffix;
    removePrefix =
      prefix: text:
      if hasPrefix prefix text then
        substring (stringLength prefix) (stringLength text) text
      else
        text;
    removeSuffix =
      suffix: text:
      if hasSuffix suffix text then
        substring 0 (stringLength text - stringLength suffix) text
      else
        text;
    escapeShellArg = text: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
    escapeRegex = replaceStrings [ "." ] [ "\\." ];
    splitString = separator: text: filter isString (split (escapeRegex separator) text);
    makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);
  };

  lists = rec {
    inherit
      concatLists
      elem
      filter
      head
      length
      map
      ;
    last = list: builtins.elemAt list (length list - 1);
    inherit (builtins)
      elemAt
      all
      any
      concatMap
      ;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
    imap =
      first: f: list:
      builtins.genList (index: f (index + first) (builtins.elemAt list index)) (length list);
  };

  attrsets = rec {
    inherit listToAttrs attrNames;
    inherit (builtins) attrValues mapAttrs hasAttr;
    optionalAttrs = condition: attrs: if condition then attrs else { };
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
    filterAttrs =
      keep: attrs:
      listToAttrs (
        map (name: {
          inherit name;
          value = attrs.${name};
        }) (filter (name: keep name attrs.${name}) (attrNames attrs))
      );
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
  };

  trivial = {
    assertMsg = condition: message: if condition then true else throw message;
    fetchers.proxyImpureEnvVars = [ "https_proxy" ];
    licenses.asl20 = "Apache-2.0";
    fileset = {
      toSource = { root, fileset }: root;
      unions = sets: sets;
      fileFilter = keep: root: root;
    };
  };

  modules = import ./modules.nix { inherit lib; };
  types = import ./types.nix { inherit lib; };
  lib = strings // lists // attrsets // trivial // modules // { inherit types; };
in
lib
