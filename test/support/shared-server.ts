/**
 * Looks at the server that tests share, once a test has asked for it (shared-traces.ts): files that never do need not
 * load the client library.
 */
export const sharedServer: {
  left: ((when: 'test' | 'file') => Promise<string[]>) | undefined;
  /** Prefixes of deployments that this file has opened. */
  readonly prefixes: Set<string>;
} = { left: undefined, prefixes: new Set() };
