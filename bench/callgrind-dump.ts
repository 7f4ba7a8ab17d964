/** What one measurement under callgrind gave. */
export interface Instructions {
  /** Instructions that the whole server process executed, in user space. */
  readonly total: number;
  /** The same by the file that the code came from: the server (Lua included), jemalloc, libc, ... */
  readonly byObject: ReadonlyMap<string, number>;
}

/** The name that reports give to the program of the server, into which Lua is compiled. */
export const SERVER_OBJECT = 'the server, Lua included';

const OBJECT = /^(c?ob)=\((\d+)\)(?: (.*))?/;
const COST = /^(?:[+-]?\d+|\*) (\d+)$/;
const TOTALS = /^totals: (\d+)/;

/**
 * Reads a dump in callgrind's format: adds up what each file of code executed itself. A line behind `calls=` holds what
 * a callee cost; the callee has lines of its own for that.
 *
 * @param program path of the server
 * @throws Error when the sum is not the total that the dump states
 */
export function readDump(text: string, program: string): Instructions {
  const names = new Map<string, string>();
  const byObject = new Map<string, number>();
  let object = 'unknown';
  let sum = 0;
  let total = Number.NaN;
  let calleeCostFollows = false;
  for (const line of text.split('\n')) {
    const cost = COST.exec(line);
    if (cost !== null) {
      if (!calleeCostFollows) {
        byObject.set(object, (byObject.get(object) ?? 0) + Number(cost[1]));
        sum += Number(cost[1]);
      }
      calleeCostFollows = false;
      continue;
    }
    if (line.startsWith('calls=')) calleeCostFollows = true;
    const [, keyword, number, name] = OBJECT.exec(line) ?? [];
    // A name stands in full where it occurs first; later lines have its number alone.
    if (number !== undefined && name !== undefined) names.set(number, objectName(name, program));
    if (keyword === 'ob' && number !== undefined) object = names.get(number) ?? 'unknown';
    total = Number(TOTALS.exec(line)?.[1] ?? total);
  }
  if (sum !== total) throw new Error(`The dump states ${total} instructions, and its lines add up to ${sum}.`);
  return { total, byObject };
}

/** `libc` of `/lib/libc.so.6`. */
function objectName(path: string, program: string): string {
  return path === program ? SERVER_OBJECT : (path.split('/').at(-1) ?? path).replace(/\.so.*$/, '');
}
