import packageJson from '../../package.json' with { type: 'json' };

/** This vmbuild's version. */
export const VERSION: string = packageJson.version;
