import type { Backend } from '../../src/backend/backend.js';
import type { Command } from '../../model/machine.js';

/** The backend itself, but for a count of the claims that pass through it, alone or in batches. */
export function countingClaims(backend: Backend): { readonly backend: Backend; claims(): number } {
  let count = 0;
  const counted = new Proxy(backend, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (property === 'claimForWorker') count += 1;
        if (property === 'execute') count += (args[0] as readonly Command[]).filter(isClaim).length;
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { backend: counted, claims: () => count };
}

const isClaim = ({ name }: Command): boolean => name === 'claimForWorker';
