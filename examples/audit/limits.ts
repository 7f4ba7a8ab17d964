/** Bounds on the work for one package; going over the first two fails it with LIMIT_EXCEEDED. */
export interface AuditLimits {
  /** Most files (and symbolic links) in a package. */
  readonly maxFiles: number;
  /** Most bytes of all files of a package together. */
  readonly maxPackageBytes: number;
  /** Largest `package.json` read, in bytes; a larger one is MANIFEST_UNREADABLE. */
  readonly maxManifestBytes: number;
}

/** Defaults, several times over the largest packages in common use. */
export const DEFAULT_LIMITS: AuditLimits = {
  maxFiles: 50_000,
  maxPackageBytes: 1024 ** 3,
  maxManifestBytes: 1024 ** 2,
};
