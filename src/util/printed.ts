/** Readable prints of objects, without their internals. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

interface Printable {
  /** The visible facts, in logs and in JSON. */
  toJSON(): object;
}

/** Sets the print of a class: `Run { id: '...' }`. Call it in a static block of the class. */
export function printed(prototype: Printable, name: string): void {
  Object.defineProperty(prototype, INSPECT, {
    value(this: Printable, _depth: number, options: object, inspect: (value: object, options: object) => string) {
      return `${name} ${inspect(this.toJSON(), options)}`;
    },
  });
}
