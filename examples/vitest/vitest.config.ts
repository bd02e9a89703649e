import { defineConfig } from 'vitest/config';

// Booting has a limit of its own; this one is for the tests.
export default defineConfig({ test: { testTimeout: 60_000 } });
