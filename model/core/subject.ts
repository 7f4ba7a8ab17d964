/** What events are about. Every event has one subject, named by its kind and its id. */
export interface Subject<Kind extends string = string, Key extends string = string> {
  /** Wire literal of the kind. */
  readonly kind: Kind;
  /** Name of the fact that holds the id, in the events and in the entity. */
  readonly key: Key;
  /** The id is a UUID: where it is stored it is short. */
  readonly shortId?: boolean;
}

export function subject<const Kind extends string, const Key extends string>(
  kind: Kind,
  key: Key,
  options: { readonly shortId?: boolean } = {},
): Subject<Kind, Key> {
  return { kind, key, ...options };
}
