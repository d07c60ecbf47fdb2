import { defineConfig } from "vitest/config";

/** `npm run interop`: what takes too long, and needs too much, to be part of `npm test`. */
export default defineConfig({
  test: {
    include: ["test/interop/**/*.interop.ts"],
    globalSetup: "test/interop/go-programs.ts",
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: false, // times are compared
  },
});
