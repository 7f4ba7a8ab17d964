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
 * Sources in the package, files and folders from the root: what users program against, to which the source maps lead.
 * All of them would be half of the package. `files` in package.json names the same.
 */
export const SHIPPED_SOURCES = ['src/index.ts', 'src/app', 'src/worker', 'src/shared', 'src/testing'] as const;
