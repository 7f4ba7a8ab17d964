/** Objects that users print show what they are, not what they are made of. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

interface Printable {
  /** What is to be seen of it, in logs and in JSON. */
  toJSON(): object;
}

/** Gives a class its print: `Run { id: '...' }`. Call it in a static block of the class. */
export function printed(prototype: Printable, name: string): void {
  Object.defineProperty(prototype, INSPECT, {
    value(this: Printable, _depth: number, options: object, inspect: (value: object, options: object) => string) {
      return `${name} ${inspect(this.toJSON(), options)}`;
    },
  });
}
