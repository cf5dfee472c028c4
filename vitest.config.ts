import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/globalSetup.ts'],
    reporters: ['default', './test/support/countReporter.ts'],
    // Tests start real builds and real servers; a machine under load must not make them fail.
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // Recipes are loaded by Node itself, as they are outside of tests.
    server: { deps: { external: [/\/(recipe|platform)\.ts$/] } },
  },
});
