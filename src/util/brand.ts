/**
 * Brands identify values made by another copy of this package, or in another realm. `instanceof` compares classes,
 * which every copy and realm has of its own; symbols of the global registry are the same everywhere.
 */
const BRAND = Symbol.for('flowfabric.brand');

/**
 * Gives all instances of a class and of its subclasses a brand, and makes `instanceof` of the class compare brands. For
 * subclasses, `instanceof` works as usual.
 */
export function brand(branded: { readonly prototype: object }, name: string): void {
  Object.defineProperty(branded.prototype, BRAND, { value: name });
  Object.defineProperty(branded, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (this === branded) return brandOf(value) === name;
      return Function.prototype[Symbol.hasInstance].call(this as () => unknown, value);
    },
  });
}

/** The brand of a value, or undefined. Never throws. */
export function brandOf(value: unknown): string | undefined {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined;
  try {
    const found: unknown = Reflect.get(value, BRAND);
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}
