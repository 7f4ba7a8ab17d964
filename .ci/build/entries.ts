import { fileURLToPath } from 'node:url';

/** The root of the project, with a slash at its end. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The entry points of the package, as paths from the root without extension. `exports` in package.json names the same
 * paths below `dist/` and `dist/cjs/`; `test/package/manifest.test.ts` holds the two together.
 */
export const ENTRIES = [
  'src/index',
  'src/valkey/index',
  'src/memory/index',
  'src/embedded/index',
  'src/testing/index',
  'src/engine/index',
] as const;

/**
 * Sources in the package, as `files` in package.json says it: what users program against, to which the source maps lead.
 * All of them would be half of the package; writers of a backend have the rest.
 */
export const SOURCES = ['src/index.ts', 'src/app', 'src/worker', 'src/shared'] as const;

/** Whether a source, as its path from the root, is in the package. */
export const isShipped = (path: string): boolean =>
  SOURCES.some((place) => path === place || path.startsWith(`${place}/`));
