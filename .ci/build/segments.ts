/**
 * Which modules share a file. Modules are taken in the order in which they run, so a file only ever needs files before
 * it; those that different entry points need stay apart. Files stay below the window of gzip (32 KiB): the package
 * lists `dist/cjs/chunks/x.js` right before `dist/chunks/x.js`, and so the second costs a fraction of the first. Below
 * that they are as large as can be: Node resolves each import of one file by another, which takes a good part of a cold
 * import.
 */
import { transformSync } from 'rolldown/utils';

/** What is known of a module; rolldown's `ModuleInfo` has these members. */
interface ModuleFacts {
  readonly code: string | null;
  readonly importedIds: readonly string[];
  readonly dynamicallyImportedIds: readonly string[];
  readonly isEntry: boolean;
}

// CommonJS adds up to a tenth to what is counted here, because each export takes four lines.
const MAX_FILE_BYTES = 29_000;

/** What is written of a module: types, comments and most of the indentation go. */
function writtenBytes(id: string, code: string): number {
  const script = id.endsWith('.ts') ? transformSync(id, code).code : code;
  return Buffer.byteLength(script.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|^ +/gm, ''));
}

/** Modules in the order in which they run, what they import first. */
function inOrder(roots: readonly string[], factsOf: (id: string) => ModuleFacts): string[] {
  const done = new Set<string>();
  const visit = (id: string): void => {
    if (done.has(id)) return;
    done.add(id);
    const { importedIds, dynamicallyImportedIds } = factsOf(id);
    importedIds.forEach(visit);
    order.push(id);
    dynamicallyImportedIds.forEach(visit);
  };
  const order: string[] = [];
  roots.forEach(visit);
  return order;
}

/** Everything that is loaded when `root` is. */
function loadedWith(root: string, factsOf: (id: string) => ModuleFacts): Set<string> {
  const loaded = new Set<string>();
  const visit = (id: string): void => {
    if (loaded.has(id)) return;
    loaded.add(id);
    factsOf(id).importedIds.forEach(visit);
  };
  visit(root);
  return loaded;
}

/**
 * The name of the file of each module that is no entry point. The same modules get the same files in every build, whatever
 * the order in which they were read.
 *
 * @param ids every module of the package, entry points included, in any order
 */
export function segmentsOf(ids: readonly string[], factsOf: (id: string) => ModuleFacts): Map<string, string> {
  const dynamic = new Set(ids.flatMap((id) => factsOf(id).dynamicallyImportedIds));
  const roots = ids.filter((id) => factsOf(id).isEntry || dynamic.has(id)).sort();
  const loads = roots.map((root) => loadedWith(root, factsOf));
  const open = new Map<string, { name: string; bytes: number }>();
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const id of inOrder(roots, factsOf)) {
    if (factsOf(id).isEntry) continue;
    const users = loads.map((loaded) => (loaded.has(id) ? '1' : '0')).join('');
    const bytes = writtenBytes(id, factsOf(id).code ?? '');
    let file = open.get(users);
    if (file === undefined || file.bytes + bytes > MAX_FILE_BYTES) {
      file = { name: unused(id, taken), bytes: 0 };
      open.set(users, file);
    }
    file.bytes += bytes;
    names.set(id, file.name);
  }
  return names;
}

/** A file is named after the first module in it. */
function unused(id: string, taken: Set<string>): string {
  const base = (/([^/\\]+?)\.\w+$/.exec(id) as RegExpExecArray)[1] as string;
  let name = base;
  for (let count = 2; taken.has(name); count += 1) name = `${base}-${count}`;
  taken.add(name);
  return name;
}
