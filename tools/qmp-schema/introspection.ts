/** One entry of `query-qmp-schema`'s answer, as QEMU's qapi/introspect.json describes it. */
export type SchemaEntry = { readonly name: string; readonly features?: readonly string[] } & (
  | {
      readonly 'meta-type': 'command';
      readonly 'arg-type': string;
      readonly 'ret-type': string;
      readonly 'allow-oob'?: boolean;
    }
  | { readonly 'meta-type': 'event'; readonly 'arg-type': string }
  | ObjectEntry
  | EnumEntry
  | AlternateEntry
  | { readonly 'meta-type': 'array'; readonly 'element-type': string }
  | { readonly 'meta-type': 'builtin'; readonly 'json-type': string }
);

export interface ObjectEntry {
  readonly 'meta-type': 'object';
  readonly 'members': readonly SchemaMember[];
  readonly 'tag'?: string;
  readonly 'variants'?: readonly { readonly case: string; readonly type: string }[];
}

export interface EnumEntry {
  readonly 'meta-type': 'enum';
  readonly 'values'?: readonly string[];
  readonly 'members'?: readonly { readonly name: string; readonly features?: readonly string[] }[];
}

export interface AlternateEntry {
  readonly 'meta-type': 'alternate';
  readonly 'members': readonly { readonly type: string }[];
}

export interface SchemaMember {
  readonly name: string;
  readonly type: string;
  /** Present (always as null) when the member is optional. */
  readonly default?: null;
  readonly features?: readonly string[];
}

/** The schema of one version, in the order of age when several are given together. */
export interface VersionedSchema {
  /** `7.2`: major and minor are what a feature depends on. */
  readonly version: string;
  readonly entries: readonly SchemaEntry[];
}
