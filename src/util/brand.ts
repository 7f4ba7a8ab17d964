/**
 * Brands: how values are recognised that another copy of this package made, or another realm. `instanceof` compares
 * classes, and each copy and each realm has its own; symbols of the global registry are the same everywhere.
 */
const BRAND = Symbol.for('flowfabric.brand');

/**
 * Gives all instances of a class, and of its subclasses, this brand, and makes `instanceof` of the class go by it. For
 * its subclasses `instanceof` stays what it is.
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

/** The brand of a value, or nothing. Never throws, whatever the value is. */
export function brandOf(value: unknown): string | undefined {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined;
  try {
    const found: unknown = Reflect.get(value, BRAND);
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}
