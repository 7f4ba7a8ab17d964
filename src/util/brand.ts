/**
 * Brands identify values made by another copy of this package, or in another realm. `instanceof` compares classes,
 * which every copy and realm has of its own; symbols of the global registry are the same everywhere.
 */
import { propertyOf } from './thrown.js';

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
  const found = propertyOf(value, BRAND);
  return typeof found === 'string' ? found : undefined;
}

const markOf = (name: string): symbol => Symbol.for(`flowfabric.class.${name}`);

/** Whether a value is an instance of the class that copies of this package share under a name. Never throws. */
export const isOfShared = (value: unknown, name: string): boolean => propertyOf(value, markOf(name)) === true;

/**
 * Shares classes with other copies under their names: `instanceof` of such a class accepts instances of the other copies'
 * classes and of their subclasses. For subclasses of it that are not shared, `instanceof` works as usual.
 */
export function share(classes: Readonly<Record<string, { readonly prototype: object }>>): void {
  for (const [name, shared] of Object.entries(classes)) {
    Object.defineProperty(shared.prototype, markOf(name), { value: true });
    Object.defineProperty(shared, Symbol.hasInstance, {
      value(this: unknown, value: unknown): boolean {
        if (this === shared) return isOfShared(value, name);
        return Function.prototype[Symbol.hasInstance].call(this as () => unknown, value);
      },
    });
  }
}
